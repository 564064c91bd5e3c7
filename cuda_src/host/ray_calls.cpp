// Which way every view is computed.
#include <algorithm>

#include "fans.h"
#include "footprints.h"
#include "kernels.h"
#include "lines.h"

namespace opalg {

namespace {

// Views by the way they are computed.
struct Ways {
    FanTable fans;
    std::vector<ColumnView> lines;
    std::vector<std::int64_t> rays;

    Ways(const RayProblem& problem, const PixelTable& pixels, bool with_fans, int lanes, Team& team)
        : fans(problem, pixels, with_fans, lanes, team) {
        for (const std::int64_t view : fans.others()) {
            const ColumnView columns(problem, pixels, view);
            if (columns.suitable()) lines.push_back(columns);
            else rays.push_back(view);
        }
    }
};

// The magnification counts once for every direction across the rays.
FootprintKind footprint_kind(const RayProblem& problem) { return {false, problem.flat ? 1 : 2}; }

}  // namespace

template <class T>
void project(const RayProblem& problem, const Kernels<T>& kernels, const T* volumes, T* projections, Team& team) {
    if (problem.model == Model::footprint)
        return project_footprints(problem, kernels, footprint_kind(problem), volumes, projections, team);
    const PixelTable pixels(problem, team);
    const Ways ways(problem, pixels, true, kernels.lanes, team);
    for (std::int64_t image = 0; image < problem.batch; ++image) {
        const T* volume = volumes + image * problem.volume_size();
        T* target = projections + image * problem.projection_size();
        project_lines(problem, pixels, ways.lines, kernels, volume, target, team);
        project_rays(problem, pixels, ways.rays, kernels, volume, target, team);
    }
    project_fans(problem, ways.fans, kernels, volumes, projections, team);
}

template <class T>
void backproject(const RayProblem& problem, const Kernels<T>& kernels, const T* projections, T* volumes, Team& team) {
    if (problem.model == Model::footprint)
        return backproject_footprints(problem, kernels, footprint_kind(problem), projections, volumes, team);
    fill_with_zeros(volumes, problem.batch * problem.volume_size(), team);
    const PixelTable pixels(problem, team);
    const Ways ways(problem, pixels, kernels.window > 0, kernels.lanes, team);
    for (std::int64_t image = 0; image < problem.batch; ++image) {
        const T* source = projections + image * problem.projection_size();
        T* volume = volumes + image * problem.volume_size();
        backproject_lines(problem, pixels, ways.lines, kernels, source, volume, team);
        backproject_rays(problem, pixels, ways.rays, kernels, source, volume, team);
    }
    backproject_fans(problem, ways.fans, kernels, projections, volumes, team);
}

template void project(const RayProblem&, const Kernels<float>&, const float*, float*, Team&);
template void project(const RayProblem&, const Kernels<double>&, const double*, double*, Team&);
template void backproject(const RayProblem&, const Kernels<float>&, const float*, float*, Team&);
template void backproject(const RayProblem&, const Kernels<double>&, const double*, double*, Team&);

}  // namespace opalg
