//! Steers a connection to the worker on the core that received its packets.
#![expect(unsafe_code, reason = "SO_ATTACH_REUSEPORT_CBPF has no safe wrapper")]

use std::io;
use std::os::fd::{AsRawFd, BorrowedFd};

/// One instruction of classic BPF, as `struct sock_filter` lays it out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Instruction {
    code: u16,
    on_true: u8,
    on_false: u8,
    operand: u32,
}

/// The program that answers the index of the worker on the receiving core. `cores[i]` is the core of the
/// worker whose listener was opened i-th. On any other core the answer is out of range, and the kernel
/// falls back to its hash.
pub fn by_receiving_core(cores: &[usize]) -> Vec<Instruction> {
    let mut program = vec![Instruction::load(SKF_AD_OFF + SKF_AD_CPU)];
    for (index, core) in (0..).zip(cores) {
        let core = u32::try_from(*core).unwrap_or(u32::MAX);
        program.push(Instruction::skip_unless(core));
        program.push(Instruction::answer(index));
    }
    program.push(Instruction::answer(u32::MAX));
    program
}

/// Attaches `program` to the whole SO_REUSEPORT group that `listener` is a member of (kernel 4.5).
pub fn attach(listener: BorrowedFd<'_>, program: &[Instruction]) -> io::Result<()> {
    let mut filter: Vec<libc::sock_filter> = program.iter().map(|step| step.raw()).collect();
    let length = u16::try_from(filter.len()).map_err(|_| io::ErrorKind::InvalidInput)?;
    let program = libc::sock_fprog {
        len: length,
        filter: filter.as_mut_ptr(),
    };
    let bytes = u32::try_from(size_of_val(&program)).unwrap_or(0);
    // SAFETY: the option reads one sock_fprog of `bytes` bytes, which points to `length` instructions;
    // both live until the call returns, and the kernel keeps a copy.
    let result = unsafe {
        libc::setsockopt(
            listener.as_raw_fd(),
            libc::SOL_SOCKET,
            libc::SO_ATTACH_REUSEPORT_CBPF,
            (&raw const program).cast(),
            bytes,
        )
    };
    if result < 0 {
        Err(io::Error::last_os_error())
    } else {
        Ok(())
    }
}

impl Instruction {
    const fn load(operand: u32) -> Self {
        Self {
            code: BPF_LD_W_ABS,
            on_true: 0,
            on_false: 0,
            operand,
        }
    }

    const fn skip_unless(operand: u32) -> Self {
        Self {
            code: BPF_JMP_JEQ_K,
            on_true: 0,
            on_false: 1,
            operand,
        }
    }

    const fn answer(operand: u32) -> Self {
        Self {
            code: BPF_RET_K,
            on_true: 0,
            on_false: 0,
            operand,
        }
    }

    const fn raw(self) -> libc::sock_filter {
        libc::sock_filter {
            code: self.code,
            jt: self.on_true,
            jf: self.on_false,
            k: self.operand,
        }
    }
}

// <linux/bpf_common.h> and <linux/filter.h>.
const BPF_LD_W_ABS: u16 = 0x20;
const BPF_JMP_JEQ_K: u16 = 0x15;
const BPF_RET_K: u16 = 0x06;
const SKF_AD_OFF: u32 = 0xFFFF_F000;
const SKF_AD_CPU: u32 = 36;

#[cfg(test)]
mod tests {
    use std::os::fd::AsFd;
    use std::time::Duration;

    use super::*;
    use crate::sys::{ListenOptions, listen};

    /// Runs the few instructions the program uses.
    fn run(program: &[Instruction], core: u32) -> u32 {
        let mut place = 0;
        let mut loaded = 0;
        loop {
            let step = program[place];
            match step.code {
                BPF_LD_W_ABS => loaded = core,
                BPF_JMP_JEQ_K => {
                    let skip = if loaded == step.operand {
                        step.on_true
                    } else {
                        step.on_false
                    };
                    place += usize::from(skip);
                }
                BPF_RET_K => return step.operand,
                other => panic!("unknown instruction {other:#x}"),
            }
            place += 1;
        }
    }

    #[test]
    fn each_core_answers_its_own_worker_and_strangers_fall_back_to_the_hash() {
        let program = by_receiving_core(&[4, 2, 7]);
        assert_eq!([4, 2, 7].map(|core| run(&program, core)), [0, 1, 2]);
        assert_eq!(run(&program, 3), u32::MAX);
    }

    #[test]
    fn the_kernel_takes_the_program() {
        let options = ListenOptions {
            backlog: 8,
            keepalive: Some(Duration::from_mins(1)),
        };
        let listener = listen("127.0.0.1:0".parse().unwrap(), options).unwrap();
        attach(listener.as_fd(), &by_receiving_core(&[0, 1])).unwrap();
    }
}
