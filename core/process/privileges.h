#pragma once

/// Giving up root (internal).

#include <sys/types.h>

#include <string>

namespace Workerman::detail {

/// A user and group of this machine.
struct Identity {
  std::string user;
  uid_t uid = 0;
  gid_t gid = 0;
};

/// Looks up a user and, unless `group` is empty, a group other than the user's
/// own; an empty `user` is the one who runs this process. For the master,
/// before any worker is forked: a wrong name then stops the start.
/// @throws std::runtime_error naming what does not exist.
/// @see Workerman manual: worker/user, worker/group
Identity findIdentity(const std::string& user, const std::string& group);

/// The name of a user, or the number where it has none.
std::string userName(uid_t uid);
/// The same for the one who runs this process.
std::string currentUser();

/// Whether this process may become that: it is root, or has these ids already.
bool canBecome(const Identity& identity) noexcept;

/// Becomes that user and group for good: supplementary groups, gid and uid, in
/// all of their kinds, and looks afterwards that it is so and that there is no
/// way back. Does nothing for who is not root and has these ids already.
///
/// Differs from Workerman: there, a wrong name or a failure is a warning and
/// the worker goes on as root, and the groups are set too late or not at all.
/// @throws std::runtime_error with the cause; the process must not go on then.
void become(const Identity& identity);

}  // namespace Workerman::detail
