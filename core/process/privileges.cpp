#include "privileges.h"

#include <grp.h>
#include <pwd.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <iterator>
#include <stdexcept>
#include <system_error>
#include <vector>

namespace Workerman::detail {
namespace {

/// Calls one of the get…_r functions with a buffer that is large enough: `use`
/// gets the entry, null if there is none.
template <class Entry, class Key, class Get, class Use>
void lookUp(Get get, Key key, const char* what, Use use) {
  std::vector<char> buffer(1024);
  Entry entry{};
  Entry* found = nullptr;
  int error = 0;
  while ((error = get(key, &entry, buffer.data(), buffer.size(), &found)) == ERANGE &&
         buffer.size() < (1u << 24)) {
    buffer.resize(buffer.size() * 2);
  }
  if (!found && error != 0 && error != ENOENT && error != ESRCH) {
    throw std::runtime_error(std::string("cannot look up ") + what + ": " +
                             std::generic_category().message(error));
  }
  use(found);
}

Identity userNamed(const std::string& name) {
  Identity identity;
  lookUp<struct passwd>(::getpwnam_r, name.c_str(), "the user of a worker", [&](const struct passwd* entry) {
    if (!entry) throw std::runtime_error("there is no user \"" + name + "\"");
    identity = {entry->pw_name, entry->pw_uid, entry->pw_gid};
  });
  return identity;
}

gid_t groupNamed(const std::string& name) {
  gid_t gid = 0;
  lookUp<struct group>(::getgrnam_r, name.c_str(), "the group of a worker", [&](const struct group* entry) {
    if (!entry) throw std::runtime_error("there is no group \"" + name + "\"");
    gid = entry->gr_gid;
  });
  return gid;
}

struct Ids {
  uid_t uids[3];
  gid_t gids[3];

  bool are(const Identity& identity) const {
    return std::all_of(std::begin(uids), std::end(uids), [&](uid_t id) { return id == identity.uid; }) &&
           std::all_of(std::begin(gids), std::end(gids), [&](gid_t id) { return id == identity.gid; });
  }
};

Ids ids() {
  Ids all{};
  ::getresuid(&all.uids[0], &all.uids[1], &all.uids[2]);
  ::getresgid(&all.gids[0], &all.gids[1], &all.gids[2]);
  return all;
}

std::string described(const Identity& identity) {
  return "user " + identity.user + " (uid " + std::to_string(identity.uid) + ", gid " +
         std::to_string(identity.gid) + ")";
}

[[noreturn]] void fail(const char* call, const Identity& identity) {
  const int error = errno;
  throw std::runtime_error("cannot become " + described(identity) + ": " + call + ": " +
                           std::generic_category().message(error));
}

}  // namespace

std::string userName(uid_t uid) {
  std::string name = std::to_string(uid);
  try {
    lookUp<struct passwd>(::getpwuid_r, uid, "the user", [&](const struct passwd* entry) {
      if (entry) name = entry->pw_name;
    });
  } catch (const std::runtime_error&) {
    // The number does as well.
  }
  return name;
}

std::string currentUser() {
  return userName(::geteuid());
}

Identity findIdentity(const std::string& user, const std::string& group) {
  Identity identity = user.empty() ? Identity{currentUser(), ::geteuid(), ::getegid()} : userNamed(user);
  if (!group.empty()) identity.gid = groupNamed(group);
  return identity;
}

bool canBecome(const Identity& identity) noexcept {
  return ::geteuid() == 0 || ids().are(identity);
}

void become(const Identity& identity) {
  if (::geteuid() != 0) {
    if (ids().are(identity)) return;
    throw std::runtime_error("cannot become " + described(identity) +
                             ": only root may change uid and gid, and this is " + currentUser());
  }
  if (identity.uid == 0 && ids().are(identity)) return;  // Root stays root, with the groups it has.
  if (::initgroups(identity.user.c_str(), identity.gid) != 0) fail("initgroups", identity);
  if (::setresgid(identity.gid, identity.gid, identity.gid) != 0) fail("setgid", identity);
  if (::setresuid(identity.uid, identity.uid, identity.uid) != 0) fail("setuid", identity);
  if (!ids().are(identity) || (identity.uid != 0 && (::setuid(0) == 0 || ::seteuid(0) == 0))) {
    throw std::runtime_error("became " + described(identity) + ", but can still go back to root");
  }
}

}  // namespace Workerman::detail
