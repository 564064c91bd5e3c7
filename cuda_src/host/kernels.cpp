// Compiled once per instruction set, with OPALG_ISA as the name of its namespace.
#include "registers.h"

#include "difference_kernels.h"
#include "fan_kernels.h"
#include "footprint_column_kernels.h"
#include "footprint_kernels.h"
#include "gather_kernels.h"
#include "image_kernels.h"
#include "line_kernels.h"
#include "packing_kernels.h"
#include "ray_kernels.h"
#include "stack_kernels.h"
#include "voxel_kernels.h"

namespace opalg {
namespace OPALG_ISA {

#define OPALG_KERNELS(T)                                                                               \
    {                                                                                                  \
        Lanes<Register<T>>::count, RegisterWindow<Register<T>>::reach,                                 \
            project_image<Register<T>>, project_stack<Register<T>>,                                    \
            backproject_image<Register<T>>, backproject_stack<Register<T>>, pack_row<Register<T>>,     \
            unpack_row<Register<T>>, project_rays<Register<T>>, scatter_rays<Register<T>>,             \
            project_fan<Register<T>>, backproject_fan<Register<T>>,                                    \
            scale_row<Register<T>>, sample_lines<Register<T>>, sample_column<Register<T>>,             \
            sample_shadow_line<Register<T>>, gather_column<Register<T>>, scale_column<Register<T>>,      \
            sample_shadows<Register<T>>, sum_differences<Register<T>>, shrink_field<Register<T>>,      \
            gather_footprints<Register<T>>, scatter_footprints<Register<T>>,                           \
            project_columns<Register<T>>, backproject_columns<Register<T>>,                            \
            spread_rows<Register<T>>, collect_rows<Register<T>>                                        \
    }

extern const Kernels<float> float32;
extern const Kernels<double> float64;
const Kernels<float> float32 = OPALG_KERNELS(float);
const Kernels<double> float64 = OPALG_KERNELS(double);

}  // namespace OPALG_ISA
}  // namespace opalg
