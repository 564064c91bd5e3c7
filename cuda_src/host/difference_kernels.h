// Inner loops of finite differences.
#pragma once

#include "difference_jobs.h"

namespace opalg {
namespace OPALG_ISA {

// They advance the pointers of the job.
template <class V> void sum_differences(SumDifferences<RealOf<V>>& job);
template <class V> void shrink_field(ShrinkField<RealOf<V>>& job);

}  // namespace OPALG_ISA
}  // namespace opalg
