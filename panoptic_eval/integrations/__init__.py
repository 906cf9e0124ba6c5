"""Interfaces of other libraries, by form: of them only torchmetrics is imported, by the module of that name."""
