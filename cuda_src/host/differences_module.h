// The part of the Python module that is about finite differences.
#pragma once

#include <nanobind/nanobind.h>

namespace opalg {

void bind_differences(nanobind::module_& m);

}  // namespace opalg
