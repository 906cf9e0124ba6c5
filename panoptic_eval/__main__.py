"""The command's first lines: whoever interrupts it while its modules are still being loaded gets no traceback."""

import sys


def main() -> None:
    """Run `panoptic-eval`."""
    try:
        from panoptic_eval.cli import main as run

        run()
    except KeyboardInterrupt:
        print("panoptic-eval: interrupted", file=sys.stderr)
        sys.exit(130)


if __name__ == "__main__":
    main()
