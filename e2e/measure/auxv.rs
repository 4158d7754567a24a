//! Programs under valgrind: the kernel must not tell them what valgrind hides.
//!
//! valgrind takes the vdso out of the auxiliary vector of what it runs, also in `/proc/self/auxv`. Since
//! Linux 6.4 a program can ask the kernel itself (`PR_GET_AUXV`), learns of a vdso that is not mapped, and
//! crashes. With this the kernel answers as an older one does.

use std::io;
use std::os::unix::process::CommandExt as _;
use std::process::Command;

use libc::{
    BPF_ABS, BPF_JEQ, BPF_JMP, BPF_K, BPF_LD, BPF_RET, BPF_W, SECCOMP_RET_ALLOW, SECCOMP_RET_ERRNO,
    sock_filter, sock_fprog,
};

/// `PR_GET_AUXV` of linux/prctl.h.
const PR_GET_AUXV: u32 = 0x4155_5856;
/// Where a filter finds the number of a system call, and the low half of its first argument.
const NUMBER: u32 = 0;
const FIRST: u32 = 16;

/// Lets the command, and what it runs, ask in vain.
pub fn hide(command: &mut Command) {
    // SAFETY: two system calls on values of the child's own.
    unsafe { command.pre_exec(filter) };
}

fn filter() -> io::Result<()> {
    let refuse = SECCOMP_RET_ERRNO | libc::EINVAL as u32;
    let mut code = [
        step(BPF_LD | BPF_W | BPF_ABS, NUMBER, 0),
        step(BPF_JMP | BPF_JEQ | BPF_K, libc::SYS_prctl as u32, 3),
        step(BPF_LD | BPF_W | BPF_ABS, FIRST, 0),
        step(BPF_JMP | BPF_JEQ | BPF_K, PR_GET_AUXV, 1),
        step(BPF_RET | BPF_K, refuse, 0),
        step(BPF_RET | BPF_K, SECCOMP_RET_ALLOW, 0),
    ];
    let program = sock_fprog { len: code.len() as u16, filter: code.as_mut_ptr() };
    // SAFETY: the program and its code live until the calls are over; the kernel copies them.
    let done = unsafe {
        libc::prctl(libc::PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0
            && libc::prctl(libc::PR_SET_SECCOMP, libc::SECCOMP_MODE_FILTER, &program) == 0
    };
    if done { Ok(()) } else { Err(io::Error::last_os_error()) }
}

/// One instruction; a comparison that fails skips so many.
fn step(code: u32, k: u32, otherwise: u8) -> sock_filter {
    sock_filter { code: code as u16, jt: 0, jf: otherwise, k }
}
