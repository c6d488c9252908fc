// Thousands of TLS connections, and no more memory at the end than after the first few hundred.

#include <malloc.h>

#include "../support/tls_visits.h"

TEST_CASE("soak: 9000 TLS connections that end in every way leave no memory behind") {
  const auto used = [] {
    const auto info = ::mallinfo2();
    return static_cast<long>(info.uordblks + info.hblkhd);
  };
  constexpr int kVisits = 9000;
  testing::TlsVisits visits;
  visits.run(900);
  const long before = used();
  REQUIRE(before > 0);  // a sanitizer's allocator tells nothing
  visits.run(kVisits);
  const long grown = used() - before;
  MESSAGE("grown by " << grown << " bytes in " << kVisits << " visits");
  CHECK(grown < kVisits * 50);
  CHECK(visits.answers == (kVisits + 900) / 9 * 6);
}
