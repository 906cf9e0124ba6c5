/* Which pixels lie near the boundary of their segment: some pixel at most `distance` away in rows and in columns has
   another id, or lies outside the image. A pixel's answer is known `distance` rows after its own row. */
#include <math.h>

#include "core.h"

uint32_t boundary_distance(double ratio, uint32_t height, uint32_t width) {
    double h = height, w = width, distance = nearbyint(ratio * sqrt(h * h + w * w));
    double most = h < w ? h : w; /* no window of more fits into the image */
    return (uint32_t)(distance < 1 ? 1 : distance < most ? distance : most);
}

Status boundary_open(Boundary *boundary, uint32_t distance, uint32_t height, uint32_t width) {
    boundary->distance = distance;
    boundary->height = height;
    boundary->width = width;
    boundary->rows = 0;
    TRY(reserve(&boundary->ids, ((size_t)distance + 1) * width * sizeof(uint32_t)));
    TRY(reserve(&boundary->depth, (size_t)width * sizeof(uint32_t)));
    memset(boundary->depth.start, 0, (size_t)width * sizeof(uint32_t));
    return OK;
}

static uint32_t id_of_run(const Run *run, const LabelPng *png) { return png ? id_of(png, run->color) : run->color; }

void boundary_add(Boundary *boundary, const Run *run, const LabelPng *png) {
    uint32_t y = boundary->rows++, d = boundary->distance;
    uint32_t *ids = boundary_ids(boundary, y), *depth = boundary->depth.start;
    const uint32_t *above = boundary_ids(boundary, y ? y - 1 : y); /* the row itself, where depth is 0 */
    while (run->x < boundary->width) {
        uint32_t first = run->x, id = id_of_run(run, png);
        do
            run++; /* colors of one id may differ in alpha */
        while (run->x < boundary->width && id_of_run(run, png) == id);
        uint32_t last = run->x;
        for (uint32_t x = first; x < last; x++) {
            bool wide = x - first >= d && last - x > d; /* 2 d + 1 pixels of the row, around this one, are alike */
            depth[x] = wide ? (y && above[x] == id ? depth[x] : 0) + 1 : 0;
        }
        for (uint32_t x = first; x < last; x++)
            ids[x] = id;
    }
}
