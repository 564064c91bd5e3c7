// The registers of the instruction set for which a file is compiled, with OPALG_ISA as the name of its namespace.
#pragma once

#include "../lanes.cuh"

#if defined(__AVX512F__)
#define OPALG_REGISTER_BYTES 64
#elif defined(__AVX2__)
#define OPALG_REGISTER_BYTES 32
#else
#define OPALG_REGISTER_BYTES 16
#endif

namespace opalg {
namespace OPALG_ISA {

template <class T> using Register = Pack<T, OPALG_REGISTER_BYTES / sizeof(T)>;

}  // namespace OPALG_ISA
}  // namespace opalg
