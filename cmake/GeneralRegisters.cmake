# novt_general_registers(TARGET): its C leaves the host's vector registers alone, since the guest's
# state is in them (docs/decisions/0004), and no loop of it becomes a call of memset or memcpy,
# which would not. Assembly is as written. general_registers has the flags, for single files.
set(general_registers -mgeneral-regs-only -fno-tree-loop-distribute-patterns)

function(novt_general_registers target)
    target_compile_options(${target} PRIVATE "$<$<COMPILE_LANGUAGE:C>:${general_registers}>")
endfunction()
