// Which way every view is computed.
#include <algorithm>
#include <numeric>

#include "kernels.h"
#include "ray_problem.h"

namespace opalg {

template <class T>
void project(const RayProblem& problem, const Kernels<T>& kernels, const T* volumes, T* projections, Team& team) {
    const PixelTable pixels(problem);
    std::vector<std::int64_t> views(std::size_t(problem.views));
    std::iota(views.begin(), views.end(), 0);
    for (std::int64_t image = 0; image < problem.batch; ++image)
        project_rays(problem, pixels, views, kernels, volumes + image * problem.volume_size(),
                     projections + image * problem.projection_size(), team);
}

template <class T>
void backproject(const RayProblem& problem, const Kernels<T>& kernels, const T* projections, T* volumes, Team& team) {
    std::fill(volumes, volumes + problem.batch * problem.volume_size(), T(0));
    const PixelTable pixels(problem);
    std::vector<std::int64_t> views(std::size_t(problem.views));
    std::iota(views.begin(), views.end(), 0);
    for (std::int64_t image = 0; image < problem.batch; ++image)
        backproject_rays(problem, pixels, views, kernels, projections + image * problem.projection_size(),
                         volumes + image * problem.volume_size(), team);
}

template void project(const RayProblem&, const Kernels<float>&, const float*, float*, Team&);
template void project(const RayProblem&, const Kernels<double>&, const double*, double*, Team&);
template void backproject(const RayProblem&, const Kernels<float>&, const float*, float*, Team&);
template void backproject(const RayProblem&, const Kernels<double>&, const double*, double*, Team&);

}  // namespace opalg
