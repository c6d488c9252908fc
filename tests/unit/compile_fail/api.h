#pragma once

// What the lines of api.txt may use: the real classes.

#include <string>
#include <string_view>
#include <tuple>

#include <workerman/workerman.h>

using namespace Workerman;
using namespace Workerman::Connection;

extern Worker worker;
extern TcpConnection& tcp;
extern AsyncTcpConnection& client;

struct NoDecode {
  static int input(std::string_view);
};
struct InputGivesText {
  static std::string input(std::string_view);
  static std::string decode(std::string_view);
};
