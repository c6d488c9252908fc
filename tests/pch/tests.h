#pragma once

/// Compiled once for each test program: reading these takes a quarter of a test file's time.

#include <doctest/doctest.h>
#include <workerman/workerman.h>

#include <functional>
#include <memory>
#include <string>
#include <vector>
