// Inner loops of finite differences.
#pragma once

#include "difference_jobs.h"

namespace opalg {
namespace OPALG_ISA {

template <class V> void sum_differences(const SumDifferences<RealOf<V>>& job);
template <class V> void shrink_field(const ShrinkField<RealOf<V>>& job);

}  // namespace OPALG_ISA
}  // namespace opalg
