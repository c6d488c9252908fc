// Thousands of TLS connections, and no more memory at the end than after the first few hundred.

#include <malloc.h>

#include "../support/tls_visits.h"

#ifdef __SANITIZE_ADDRESS__
// GCC comes without the header for it.
extern "C" std::size_t __sanitizer_get_current_allocated_bytes();
#endif

namespace {

long bytesInUse() {
#ifdef __SANITIZE_ADDRESS__
  return static_cast<long>(__sanitizer_get_current_allocated_bytes());
#else
  const auto info = ::mallinfo2();
  return static_cast<long>(info.uordblks + info.hblkhd);
#endif
}

}  // namespace

TEST_CASE("soak: 9000 TLS connections that end in every way leave no memory behind") {
  constexpr int kVisits = 9000;
  // What is kept for later has its full size after some 2,200.
  constexpr int kWarmUp = 3600;
  testing::TlsVisits visits;
  visits.run(kWarmUp);
  const long before = bytesInUse();
  visits.run(kVisits);
  const long grown = bytesInUse() - before;
  MESSAGE("grown by " << grown << " bytes in " << kVisits << " visits");
  // A ninth of that: one kind of end that leaves 100 bytes behind would show.
  CHECK(grown < kVisits / 9 * 50);
  CHECK(visits.answers == (kVisits + kWarmUp) / 9 * 6);
}
