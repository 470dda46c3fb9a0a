//! Steers a connection to the worker on the core that received its packets.
#![expect(unsafe_code, reason = "SO_ATTACH_REUSEPORT_CBPF has no safe wrapper")]

use std::collections::BTreeMap;
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
/// worker whose listener was opened i-th; workers that share a core get its connections at random. On any other core
/// the answer is out of range, and the kernel falls back to its hash.
pub fn by_receiving_core(cores: &[usize]) -> Vec<Instruction> {
    let mut workers: BTreeMap<usize, Vec<u32>> = BTreeMap::new();
    for (worker, core) in (0..).zip(cores) {
        workers.entry(*core).or_default().push(worker);
    }
    let mut program = vec![Instruction::load(SKF_AD_OFF + SKF_AD_CPU)];
    for (core, workers) in workers {
        let answers = one_of(&workers);
        program.push(Instruction::skip_if(
            u32::try_from(core).unwrap_or(u32::MAX),
        ));
        program.push(Instruction::jump(
            u32::try_from(answers.len()).unwrap_or(u32::MAX),
        ));
        program.extend(answers);
    }
    program.push(Instruction::answer(u32::MAX));
    program
}

/// Answers one of these workers.
fn one_of(workers: &[u32]) -> Vec<Instruction> {
    let Some((last, others)) = workers.split_last() else {
        return Vec::new();
    };
    let mut program = Vec::new();
    if !others.is_empty() {
        program.push(Instruction::load(SKF_AD_OFF + SKF_AD_RANDOM));
        program.push(Instruction::remainder(
            u32::try_from(workers.len()).unwrap_or(1),
        ));
    }
    for (drawn, worker) in (0..).zip(others) {
        program.push(Instruction::skip_unless(drawn));
        program.push(Instruction::answer(*worker));
    }
    program.push(Instruction::answer(*last));
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

    const fn skip_if(operand: u32) -> Self {
        Self {
            code: BPF_JMP_JEQ_K,
            on_true: 1,
            on_false: 0,
            operand,
        }
    }

    /// Over so many instructions.
    const fn jump(operand: u32) -> Self {
        Self {
            code: BPF_JMP_JA,
            on_true: 0,
            on_false: 0,
            operand,
        }
    }

    const fn remainder(operand: u32) -> Self {
        Self {
            code: BPF_ALU_MOD_K,
            on_true: 0,
            on_false: 0,
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
const BPF_JMP_JA: u16 = 0x05;
const BPF_ALU_MOD_K: u16 = 0x94;
const BPF_RET_K: u16 = 0x06;
const SKF_AD_OFF: u32 = 0xFFFF_F000;
const SKF_AD_CPU: u32 = 36;
const SKF_AD_RANDOM: u32 = 56;

#[cfg(test)]
mod tests {
    use std::os::fd::AsFd;
    use std::time::Duration;

    use super::*;
    use crate::sys::{ListenOptions, listen};

    /// Runs the few instructions the program uses, on this core and with this as what is drawn.
    fn run_with(program: &[Instruction], core: u32, random: u32) -> u32 {
        let mut place = 0;
        let mut loaded = 0;
        loop {
            let step = program[place];
            match step.code {
                BPF_LD_W_ABS if step.operand == SKF_AD_OFF + SKF_AD_CPU => loaded = core,
                BPF_LD_W_ABS => loaded = random,
                BPF_ALU_MOD_K => loaded %= step.operand,
                BPF_JMP_JA => place += step.operand as usize,
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

    fn run(program: &[Instruction], core: u32) -> u32 {
        run_with(program, core, 0)
    }

    #[test]
    fn workers_that_share_a_core_are_drawn_one_as_often_as_the_other() {
        let program = by_receiving_core(&[0, 1, 0, 1, 0]);
        let answers = |core| [5, 6, 7, 8].map(|random| run_with(&program, core, random));
        assert_eq!(answers(0), [4, 0, 2, 4]);
        assert_eq!(answers(1), [3, 1, 3, 1]);
        assert_eq!(run(&program, 2), u32::MAX);
    }

    #[test]
    fn the_kernel_takes_as_many_workers_as_there_may_be() {
        let options = ListenOptions {
            backlog: 8,
            keepalive: None,
        };
        for cores in [1, 2, 511, 512, 1024] {
            let listener = listen("127.0.0.1:0".parse().unwrap(), options).unwrap();
            let cores: Vec<usize> = (0..1024).map(|worker| worker % cores).collect();
            attach(listener.as_fd(), &by_receiving_core(&cores)).unwrap();
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
