# novt_general_registers(TARGET): its C leaves the host's vector registers alone, since the guest's
# state is in them (docs/decisions/0004), and no loop of it becomes a call of memset or memcpy,
# which would not. Assembly is as written. general_registers has the flags, for single files.
# (clang, which builds the fuzz targets alone, does not know the second flag.)
set(general_registers -mgeneral-regs-only)
if(CMAKE_C_COMPILER_ID STREQUAL "GNU")
    list(APPEND general_registers -fno-tree-loop-distribute-patterns)
endif()

function(novt_general_registers target)
    target_compile_options(${target} PRIVATE "$<$<COMPILE_LANGUAGE:C>:${general_registers}>")
endfunction()
