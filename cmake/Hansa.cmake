# SPDX-License-Identifier: Apache-2.0
# What every folder's CMakeLists.txt uses: one static library a folder, one arrow down.
find_package(PkgConfig REQUIRED)
find_package(Threads REQUIRED)
find_package(OpenSSL REQUIRED)
pkg_check_modules(UV REQUIRED IMPORTED_TARGET libuv)
pkg_check_modules(CURL REQUIRED IMPORTED_TARGET libcurl)
pkg_check_modules(YAML REQUIRED IMPORTED_TARGET yaml-0.1)
pkg_check_modules(SQLITE REQUIRED IMPORTED_TARGET sqlite3)
pkg_check_modules(NGHTTP2 REQUIRED IMPORTED_TARGET libnghttp2)
pkg_check_modules(MAXMINDDB REQUIRED IMPORTED_TARGET libmaxminddb)
pkg_check_modules(ZLIB REQUIRED IMPORTED_TARGET zlib)
if(HANSA_TESTS)
  pkg_check_modules(CMOCKA REQUIRED IMPORTED_TARGET cmocka)
endif()

add_library(hansa_flags INTERFACE)
target_compile_options(hansa_flags INTERFACE -Wall -Wextra -Werror -Wshadow -Wstrict-prototypes
  -Wmissing-prototypes -Wvla -fno-common -fno-omit-frame-pointer -g
  $<$<CONFIG:Release>:-O2>)
target_compile_definitions(hansa_flags INTERFACE _GNU_SOURCE $<$<CONFIG:Release>:_FORTIFY_SOURCE=2>)
target_include_directories(hansa_flags INTERFACE ${PROJECT_SOURCE_DIR} ${PROJECT_SOURCE_DIR}/lib)
# Forbidden calls are compile errors in every file.
target_compile_options(hansa_flags INTERFACE -include ${PROJECT_SOURCE_DIR}/lib/base/banned.h)
if(HANSA_SANITIZE)
  target_compile_options(hansa_flags INTERFACE -fsanitize=address,undefined -fno-sanitize-recover=all -U_FORTIFY_SOURCE)
  target_link_options(hansa_flags INTERFACE -fsanitize=address,undefined)
endif()
if(HANSA_FUZZ)
  target_compile_options(hansa_flags INTERFACE -fsanitize=fuzzer-no-link)
endif()

# hansa_library(NAME DEPENDS lib...): every .c file of the folder, sub-folders included, main.c left out.
function(hansa_library name)
  cmake_parse_arguments(A "" "" "DEPENDS" ${ARGN})
  file(GLOB_RECURSE sources CONFIGURE_DEPENDS ${CMAKE_CURRENT_SOURCE_DIR}/*.c)
  list(FILTER sources EXCLUDE REGEX "/[a-z_]*main\\.c$")
  if(NOT sources) # a room of headers only, so far
    add_library(${name} INTERFACE)
    target_link_libraries(${name} INTERFACE hansa_flags ${A_DEPENDS})
    return()
  endif()
  add_library(${name} STATIC ${sources})
  target_link_libraries(${name} PUBLIC hansa_flags ${A_DEPENDS})
endfunction()

# hansa_program(NAME MAIN file DEPENDS lib...): an installed binary in build/bin.
function(hansa_program name)
  cmake_parse_arguments(A "" "MAIN" "DEPENDS" ${ARGN})
  add_executable(${name} ${A_MAIN})
  target_link_libraries(${name} PRIVATE hansa_flags ${A_DEPENDS})
  set_target_properties(${name} PROPERTIES RUNTIME_OUTPUT_DIRECTORY ${PROJECT_BINARY_DIR}/bin)
  install(TARGETS ${name} RUNTIME DESTINATION bin)
endfunction()

# hansa_bundle(LIBRARY SYMBOL DIR): the schema documents DIR/*.yaml as JSON text in the library: `const char SYMBOL[]`.
function(hansa_bundle library symbol dir)
  file(GLOB documents CONFIGURE_DEPENDS ${dir}/*.yaml)
  list(SORT documents)
  set(out ${CMAKE_CURRENT_BINARY_DIR}/${symbol}.c)
  add_custom_command(OUTPUT ${out} COMMAND hansa_bundle ${symbol} ${out} ${documents}
    DEPENDS hansa_bundle ${documents} COMMENT "Bundling ${symbol}" VERBATIM)
  target_sources(${library} PRIVATE ${out})
  # String literals beyond what C requires of every compiler.
  set_source_files_properties(${out} PROPERTIES COMPILE_OPTIONS "-Wno-overlength-strings")
endfunction()
