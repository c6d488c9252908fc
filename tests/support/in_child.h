#pragma once

#include <sys/types.h>
#include <sys/wait.h>
#include <unistd.h>

namespace testing {

/// Runs `fn` in a forked child and gives its exit status; -1: a signal has ended it.
template <class Fn>
int inChild(Fn&& fn) {
  const pid_t pid = ::fork();
  if (pid == 0) ::_exit(fn());
  int status = 0;
  ::waitpid(pid, &status, 0);
  return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

}  // namespace testing
