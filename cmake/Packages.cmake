# Every package novt is built with, each a Debian 12 package, named here and nowhere else.
#
#   novt_package(VARIABLE header library debian-package what-for)
#
# sets VARIABLE to the library, or stops with the command that installs it.
if(NOT CMAKE_C_COMPILER_ID STREQUAL "GNU" AND NOT NOVT_FUZZ) # clang knows other flags and features
    message(FATAL_ERROR "novt is built with gcc (apt-get install gcc): "
        "cmake -DCMAKE_C_COMPILER=gcc, and a new build folder")
endif()

function(novt_package variable header library package purpose)
    find_path(${variable}_INCLUDE ${header})
    find_library(${variable}_LIBRARY ${library})
    if(NOT ${variable}_INCLUDE OR NOT ${variable}_LIBRARY)
        message(FATAL_ERROR "${header} (${purpose}) is missing: apt-get install ${package}")
    endif()
    set(${variable} ${${variable}_LIBRARY} PARENT_SCOPE)
endfunction()

novt_package(CAPSTONE capstone/capstone.h capstone libcapstone-dev "disassembly for people")
novt_package(LIBELF libelf.h elf libelf-dev "ELF guests and symbols")
novt_package(ZLIB zlib.h z zlib1g-dev "compressed kernels and images")
novt_package(JANSSON jansson.h jansson libjansson-dev "statistics as JSON")
novt_package(SECCOMP seccomp.h seccomp libseccomp-dev "the monitor's own confinement")
novt_package(SLIRP slirp/libslirp.h slirp libslirp-dev "user networking")
novt_package(PNG png.h png libpng-dev "screenshots")
# Read by guests that start from a disk; nothing of it is needed to build.
if(NOT EXISTS /usr/share/seabios/bios-256k.bin)
    message(STATUS "SeaBIOS (firmware) is missing: apt-get install seabios")
endif()
# Loaded when a window is opened; only the headers are needed to build.
novt_package(SDL2 SDL2/SDL.h SDL2 libsdl2-dev "windows")
novt_package(VNCSERVER rfb/rfb.h vncserver libvncserver-dev "VNC")
# Loaded when a kernel that is packed so is to be explained; only the header is needed to build. Of
# zstd nothing is: apt-get install libzstd1.
novt_package(LZMA lzma.h lzma liblzma-dev "kernels packed with xz or lzma")
# Loaded by novt view; only the header is needed to build.
novt_package(NCURSES ncurses.h ncursesw libncurses-dev "novt view")
# novt bench, novt learn and many tests are written in it.
find_package(Python3 COMPONENTS Interpreter)
if(NOT Python3_FOUND)
    message(FATAL_ERROR "python3 (bench, learn, tests) is missing: apt-get install python3")
endif()
