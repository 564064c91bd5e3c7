// Work of a team without Python's global lock.
#pragma once

#include <nanobind/nanobind.h>

#include <functional>

#include "team.h"

namespace opalg {

// Runs without the GIL. A thread that may see Ctrl-C takes it for a moment, about every 50 ms.
template <class Work> void run_without_gil(int threads, bool interruptible, const Work& work) {
    bool raised = false;
    {
        nanobind::gil_scoped_release release;
        std::function<bool()> interrupted;
        if (interruptible)
            interrupted = [&raised] {
                nanobind::gil_scoped_acquire acquire;
                return raised = PyErr_CheckSignals() != 0;
            };
        try {
            Team team(threads, interrupted);
            work(team);
        } catch (const Cancelled&) {
            // The exception that the signal handler raised is set, and thrown below.
        }
    }
    if (raised) throw nanobind::python_error();
}

}  // namespace opalg
