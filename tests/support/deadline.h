#pragma once

namespace testing {

/// When a test that waits for something counts as hung, in seconds. It ends only what would never end, so it
/// is long enough for any machine, however busy: what is to come soon is shown by the order of events, never
/// by it.
inline constexpr double kHangSeconds = 60;

}  // namespace testing
