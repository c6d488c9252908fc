// Compiled once for each test program: reading these takes a quarter of a test file's time. Nobody includes
// it, and compilers warn of #pragma once in what is compiled by itself.

#include <doctest/doctest.h>
#include <workerman/workerman.h>

#include <functional>
#include <memory>
#include <string>
#include <vector>
