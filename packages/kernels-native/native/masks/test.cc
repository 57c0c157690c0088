#include "base/test.h"

#include "masks/masks.h"

using namespace winnow;
using namespace winnow::test;

namespace {

template <class T>
Span<T> spanOf(const std::vector<T>& values) {
  return {values.data(), values.size()};
}

struct Lists {
  std::vector<int32_t> indices, offsets;
};

bool contains(const Problem& problem, const char* text) { return problem && problem->find(text) != std::string::npos; }

void checkLists(Checks& checks) {
  const auto problem = [](const Lists& lists, size_t count, bool emptyAllowed = false) {
    return problemOfLists({spanOf(lists.indices), spanOf(lists.offsets)}, count, [](size_t i) { return i == 0 ? 10 : 5; }, emptyAllowed);
  };
  checks.expect(!problem({{0, 9, 0, 4}, {0, 2, 4}}, 2), "ascending lists inside their limits are fine");
  checks.expect(contains(problem({{0, 9, 0, 5}, {0, 2, 4}}, 2), "indices[3]"), "an index at the limit of its own list is refused");
  checks.expect(contains(problem({{3, 3, 1}, {0, 2, 3}}, 2), "indices[1]"), "a repeated index is refused");
  checks.expect(contains(problem({{-1, 3, 1}, {0, 2, 3}}, 2), "indices[0]"), "a negative index is refused");
  checks.expect(contains(problem({{1, 2}, {0, 2}}, 2), "offsets"), "missing offsets are refused");
  checks.expect(contains(problem({{1, 2}, {0, 2, 1}}, 2), "offsets[2]"), "falling offsets are refused");
  checks.expect(contains(problem({{1, 2}, {0, 1, 3}}, 2), "offsets[2]"), "offsets beyond the indices are refused");
  checks.expect(contains(problem({{1, 2}, {1, 1, 2}}, 2), "offsets[0]"), "offsets that do not begin at 0 are refused");
  checks.expect(contains(problem({{1}, {0, 1, 1}}, 2), "offsets[1]"), "an empty list is refused");
  checks.expect(!problem({{1}, {0, 1, 1}}, 2, true), "an empty list is fine where it is allowed");
  checks.expect(contains(problemOfIndices("ids", spanOf(std::vector<int32_t>{4, 5}), 5), "ids[1]"), "an id at the limit is refused");
}

struct Ranges {
  std::vector<int32_t> rangeOffsets{0, 2, 3}, ranges{0, 3, 10, 64, 5, 100};
  std::vector<uint8_t> flags{0, 1, 0};
  std::vector<int32_t> columnOffsets{0, 2, 3}, columns{4, 9, 2};
  size_t bands = 1;
};

Problem problemOf(const Ranges& r) {
  return problemOfRanges({spanOf(r.rangeOffsets), spanOf(r.ranges), spanOf(r.flags), spanOf(r.columnOffsets), spanOf(r.columns), r.bands}, 100, 64);
}

void checkRanges(Checks& checks) {
  checks.expect(!problemOf({}), "ascending, disjoint ranges with columns outside are fine");
  const auto refused = [&](const char* what, const char* where, void (*change)(Ranges&)) {
    Ranges mask;
    change(mask);
    checks.expect(contains(problemOf(mask), where), what);
  };
  refused("an empty range is refused", "ranges[0]", [](Ranges& r) { r.ranges[1] = 0; });
  refused("overlapping ranges are refused", "ranges[2]", [](Ranges& r) { r.ranges[2] = 2; });
  refused("a negative start is refused", "ranges[0]", [](Ranges& r) { r.ranges[0] = -1; });
  refused("a range beyond n is refused", "ranges[4]", [](Ranges& r) { r.ranges[5] = 101; });
  refused("a column inside a range is refused", "columns[1]", [](Ranges& r) { r.columns[1] = 10; });
  refused("unsorted columns are refused", "columns[1]", [](Ranges& r) { r.columns = {9, 4, 2}; });
  refused("a column beyond n is refused", "columns[2]", [](Ranges& r) { r.columns[2] = 100; });
  refused("a range above the diagonal is refused", "ranges[2]", [](Ranges& r) { r.ranges[2] = 64, r.ranges[3] = 70; });
  refused("a column above the diagonal is refused", "columns[1]", [](Ranges& r) { r.columns[1] = 64; });
  refused("missing offsets are refused", "rangeOffsets", [](Ranges& r) { r.rangeOffsets.pop_back(); });
  refused("offsets beyond the ranges are refused", "rangeOffsets[2]", [](Ranges& r) { r.rangeOffsets[2] = 4; });
  refused("missing flags are refused", "rangeOffsets[2]", [](Ranges& r) { r.flags.pop_back(); });
  refused("a flag without its band is refused", "rangeFlags[1]", [](Ranges& r) { r.bands = 0; });
}

}  // namespace

int main() {
  Checks checks;
  checkLists(checks);
  checkRanges(checks);
  return checks.report();
}
