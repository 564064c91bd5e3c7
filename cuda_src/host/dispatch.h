// Which of the compiled instruction sets this processor runs.
#pragma once

#include <string>
#include <vector>

#include "kernels.h"

namespace opalg {

// Those that this processor can run, best first.
const std::vector<InstructionSet>& available_instruction_sets();

// The one in use: the best, or the one that the environment variable OPALG_ISA names. Throws std::invalid_argument if
// that is unknown, not compiled in, or too new for this processor.
const InstructionSet& active_instruction_set();

template <class T> const Kernels<T>& active_kernels();

}  // namespace opalg
