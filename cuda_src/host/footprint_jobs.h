// What the kernels of the footprint model are told (see ../footprint.cuh).
#pragma once

#include "../footprint.cuh"

namespace opalg {

// Zeros behind the columns to gather from, and around a line in a kernel's scratch; a multiple of lanes.
constexpr int kFootprintMargin = 48;
constexpr int kFootprintCell = 4;     // columns that a voxel adds to at once

// Voxels (0, y, z), (1, y, z), .. of a line and the pixels of a window.
//
// To gather, pixels lie [row, column], with kFootprintMargin zeros behind the last column and one row of zeros behind the
// last. To scatter, each pixel is a cell of kFootprintCell numbers, the shares of the pixel itself and of those behind it
// in its row, with one cell more in every row and one row more.
template <class T> struct FootprintLine {
    const FootprintView* view;
    double y, z;
    std::int64_t count;
    T* voxels;                   // up to a multiple of lanes
    T* projection;               // pixel (0, 0)
    std::ptrdiff_t line_stride;  // from row to row, in pixels
    std::int64_t first_row, last_row, first_column, last_column;
};

// Voxels of a line along z, which all fall on the same detector columns; rows of the detector are along z.
template <class T> struct FootprintColumns {
    double start, step;            // row of the shadow of voxel 0, and per voxel
    double level;                  // where the two Gauss points meet, as an index of voxels
    double shift_rate;             // by how much they part, in rows per voxel from there
    double width;                  // of the boxes, in rows
    int columns;
    const T* weight;               // [columns]
    T* pixels;                     // first column, row 0; rows up to last + lanes
    std::ptrdiff_t column_stride;
    std::int64_t rows;
    T* voxels;                     // voxel 0; up to a multiple of lanes
    std::int64_t count;
    T* scratch;                    // [most of rows and voxels + 2 kFootprintMargin + lanes]
};

// A line that lies on the rows already: added to columns, or columns to it.
template <class T> struct FootprintRows {
    int columns;
    const T* weight;
    T* pixels;                     // rows up to a multiple of lanes
    std::ptrdiff_t column_stride;
    std::int64_t rows;
    T* line;                       // [rows], up to a multiple of lanes
};

}  // namespace opalg
