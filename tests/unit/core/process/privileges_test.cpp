#include "core/process/privileges.h"

#include <doctest/doctest.h>
#include <grp.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <stdexcept>
#include <string>

#include "support/in_child.h"

namespace detail = Workerman::detail;

namespace {

std::string whyNot(const detail::Identity& identity) {
  try {
    detail::become(identity);
    return {};
  } catch (const std::runtime_error& error) {
    return error.what();
  }
}

}  // namespace

TEST_CASE("privileges: names are looked up, a wrong one is named (Workerman manual: worker/user)") {
  const detail::Identity nobody = detail::findIdentity("nobody", "");
  CHECK(nobody.user == "nobody");
  CHECK(nobody.uid != 0);
  CHECK(nobody.gid != 0);
  const detail::Identity daemon = detail::findIdentity("nobody", "daemon");
  CHECK(daemon.uid == nobody.uid);
  CHECK(daemon.gid != nobody.gid);
  CHECK_THROWS_WITH(detail::findIdentity("no such user", ""), "there is no user \"no such user\"");
  CHECK_THROWS_WITH(detail::findIdentity("nobody", "no such group"), "there is no group \"no such group\"");
}

TEST_CASE("privileges: without a name it is who runs the process, which always can be") {
  const detail::Identity self = detail::findIdentity("", "");
  CHECK(self.user == detail::currentUser());
  CHECK(self.uid == ::geteuid());
  CHECK(detail::canBecome(self));
  CHECK(testing::inChild([&] { return whyNot(self).empty() ? 0 : 1; }) == 0);
}

TEST_CASE("privileges: root becomes another user in every kind of id and in its groups, for good") {
  if (::geteuid() != 0) return;
  const detail::Identity nobody = detail::findIdentity("nobody", "daemon");
  CHECK(detail::canBecome(nobody));
  const int status = testing::inChild([&] {
    const std::array<gid_t, 2> before{0, 4};
    if (::setgroups(before.size(), before.data()) != 0) return 1;
    if (!whyNot(nobody).empty()) return 2;
    uid_t u[3];
    gid_t g[3];
    ::getresuid(&u[0], &u[1], &u[2]);
    ::getresgid(&g[0], &g[1], &g[2]);
    for (int i = 0; i < 3; ++i) {
      if (u[i] != nobody.uid || g[i] != nobody.gid) return 3;
    }
    std::array<gid_t, 64> groups{};
    const int count = ::getgroups(groups.size(), groups.data());
    if (count < 0 || std::any_of(groups.begin(), groups.begin() + count,
                                 [](gid_t group) { return group == 0 || group == 4; })) {
      return 4;
    }
    return ::setuid(0) == 0 || ::setgid(0) == 0 ? 5 : 0;
  });
  CHECK(status == 0);
}

TEST_CASE("privileges: who is not root cannot become another user, and hears why") {
  const detail::Identity root = detail::findIdentity("root", "");
  const detail::Identity nobody = detail::findIdentity("nobody", "");
  const int status = testing::inChild([&] {
    if (::geteuid() == 0 && !whyNot(nobody).empty()) return 1;
    if (detail::canBecome(root)) return 2;
    const std::string why = whyNot(root);
    return why.find("cannot become user root (uid 0, gid 0): only root may change uid and gid") == 0 ? 0 : 3;
  });
  CHECK(status == 0);
}

TEST_CASE("privileges: a group alone can be changed by root, who stays root") {
  if (::geteuid() != 0) return;
  const detail::Identity identity = detail::findIdentity("", "daemon");
  const int status = testing::inChild(
      [&] { return whyNot(identity).empty() && ::getuid() == 0 && ::getegid() == identity.gid ? 0 : 1; });
  CHECK(status == 0);
}
