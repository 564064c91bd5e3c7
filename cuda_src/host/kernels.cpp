// Compiled once per instruction set, with OPALG_ISA as the name of its namespace.
#if defined(__AVX512F__)
#define OPALG_REGISTER_BYTES 64
#elif defined(__AVX2__)
#define OPALG_REGISTER_BYTES 32
#else
#define OPALG_REGISTER_BYTES 16
#endif

#include "image_kernels.h"
#include "line_kernels.h"
#include "packing_kernels.h"
#include "ray_kernels.h"
#include "stack_kernels.h"
#include "voxel_kernels.h"

namespace opalg {
namespace OPALG_ISA {

template <class T> using Register = Pack<T, OPALG_REGISTER_BYTES / sizeof(T)>;

#define OPALG_KERNELS(T)                                                                               \
    {                                                                                                  \
        Lanes<Register<T>>::count, project_image<Register<T>>, project_stack<Register<T>>,             \
            backproject_image<Register<T>>, backproject_stack<Register<T>>, pack_row<Register<T>>,     \
            unpack_row<Register<T>>, project_rays<Register<T>>, scatter_rays<Register<T>>,             \
            scale_row<Register<T>>, sample_lines<Register<T>>, gather_line<Register<T>>,               \
            sample_shadows<Register<T>>                                                                \
    }

extern const Kernels<float> float32;
extern const Kernels<double> float64;
const Kernels<float> float32 = OPALG_KERNELS(float);
const Kernels<double> float64 = OPALG_KERNELS(double);

}  // namespace OPALG_ISA
}  // namespace opalg
