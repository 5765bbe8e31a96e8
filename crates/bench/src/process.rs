//! CPU time and memory of processes, read from `/proc`.

use std::collections::HashMap;
use std::fs;

/// How much more than the threads alive have used a process must have used before ended threads are believed in: what
/// counting in ticks may be wrong by.
const TICKS_DOUBT_US: u64 = 30_000;

/// CPU time used so far, as the kernel tells it twice.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Cpu {
    /// To the nanosecond, but without threads that have ended.
    living_us: u64,
    /// All of it, in ticks: a hundred a second as a rule.
    ticked_us: u64,
}

/// What `/proc/ID/stat` says of one process, in ticks.
#[derive(Debug, Clone, Copy)]
struct Row {
    parent: i32,
    own: u64,
    /// Of its ended children.
    ended: u64,
}

impl Cpu {
    /// CPU microseconds from `before` to this.
    pub fn since(self, before: Self) -> u64 {
        let living = self.living_us.saturating_sub(before.living_us);
        let ticked = self.ticked_us.saturating_sub(before.ticked_us);
        if ticked > living + TICKS_DOUBT_US { ticked } else { living }
    }

    /// Of both together.
    pub fn and(self, other: Self) -> Self {
        Self { living_us: self.living_us + other.living_us, ticked_us: self.ticked_us + other.ticked_us }
    }

    fn of(id: &str, row: Row) -> Self {
        let ended_us = micros(row.ended);
        Self { living_us: threads_us(id) + ended_us, ticked_us: micros(row.own) + ended_us }
    }
}

/// What `root`, its descendants and their ended children have used; nothing when it is gone.
pub fn tree_cpu(root: i32) -> Cpu {
    let rows = rows();
    let of_one = |id: i32| Some(Cpu::of(&id.to_string(), *rows.get(&id)?));
    tree(root, &rows).into_iter().filter_map(of_one).fold(Cpu::default(), Cpu::and)
}

/// What this process has used.
pub fn own_cpu() -> Cpu {
    // Without the servers that it starts, also the ended ones.
    read_row("/proc/self/stat").map_or_else(Cpu::default, |row| Cpu::of("self", Row { ended: 0, ..row }))
}

/// What the threads of a process that are alive have used.
fn threads_us(id: &str) -> u64 {
    let tasks = fs::read_dir(format!("/proc/{id}/task")).into_iter().flatten().flatten();
    tasks.map(|task| thread_cpu_us(&format!("{id}/task/{}", task.file_name().display()))).sum()
}

fn micros(ticks: u64) -> u64 {
    ticks * 1_000_000 / rustix::param::clock_ticks_per_second()
}

/// CPU microseconds of the thread whose directory below `/proc` this is.
pub fn thread_cpu_us(directory: &str) -> u64 {
    let precise = fs::read_to_string(format!("/proc/{directory}/schedstat")).unwrap_or_default();
    precise.split(' ').next().and_then(|nanos| nanos.parse::<u64>().ok()).unwrap_or(0) / 1_000
}

/// The calling thread's directory below `/proc`, for [`thread_cpu_us`].
pub fn this_thread() -> String {
    fs::read_link("/proc/thread-self").map(|path| path.display().to_string()).unwrap_or_default()
}

/// CPU microseconds that all processes of the machine have used so far.
pub fn machine_cpu_us() -> u64 {
    let stat = fs::read_to_string("/proc/stat").unwrap_or_default();
    let line = stat.lines().next().unwrap_or_default();
    let fields: Vec<u64> = line.split_whitespace().skip(1).filter_map(|field| field.parse().ok()).collect();
    // user, nice, system; then idle and iowait; then irq, softirq. Stolen time is nobody's here.
    let busy: u64 =
        fields.iter().take(7).enumerate().filter(|(place, _)| !matches!(place, 3 | 4)).map(|(_, n)| n).sum();
    micros(busy)
}

/// Forgets the highest resident size so far, where the kernel lets us.
pub fn reset_peak(id: i32) {
    // Without the right to, the peak counts from the process's start: higher, never lower.
    let _ = fs::write(format!("/proc/{id}/clear_refs"), "5");
}

/// The highest resident size of one process since [`reset_peak`], in KiB.
pub fn peak_kib(id: i32) -> u64 {
    status(id).get("VmHWM").copied().unwrap_or(0)
}

/// The resident size of one process, in KiB.
pub fn resident_kib(id: i32) -> u64 {
    status(id).get("VmRSS").copied().unwrap_or(0)
}

/// What a tree of processes that share memory holds, in KiB: the private parts of all, the shared part once.
pub fn tree_resident_kib(root: i32) -> u64 {
    let statuses: Vec<_> = tree(root, &rows()).into_iter().map(status).collect();
    let of = |field: &'static str| statuses.iter().map(move |status| status.get(field).copied().unwrap_or(0));
    of("RssAnon").sum::<u64>() + of("RssShmem").max().unwrap_or(0) + of("RssFile").max().unwrap_or(0)
}

/// The fields of `/proc/ID/status` that are numbers.
fn status(id: i32) -> HashMap<String, u64> {
    let text = fs::read_to_string(format!("/proc/{id}/status")).unwrap_or_default();
    let field = |line: &str| {
        let (name, value) = line.split_once(':')?;
        Some((name.to_owned(), value.split_whitespace().next()?.parse().ok()?))
    };
    text.lines().filter_map(field).collect()
}

fn rows() -> HashMap<i32, Row> {
    let entries = fs::read_dir("/proc").into_iter().flatten().flatten();
    let ids = entries.filter_map(|entry| entry.file_name().to_str()?.parse::<i32>().ok());
    ids.filter_map(|id| Some((id, read_row(&format!("/proc/{id}/stat"))?))).collect()
}

fn read_row(path: &str) -> Option<Row> {
    let stat = fs::read_to_string(path).ok()?;
    // The name in brackets may hold spaces; what follows it counts from the third field.
    let (_, rest) = stat.rsplit_once(") ")?;
    let fields: Vec<&str> = rest.split(' ').collect();
    let number = |place: usize| fields.get(place)?.parse::<u64>().ok();
    let (own, ended) = (number(11)? + number(12)?, number(13)? + number(14)?);
    Some(Row { parent: fields.get(1)?.parse().ok()?, own, ended })
}

/// `root` and its descendants.
fn tree(root: i32, rows: &HashMap<i32, Row>) -> Vec<i32> {
    let mut tree = vec![root];
    let mut next = 0;
    while let Some(parent) = tree.get(next).copied() {
        tree.extend(rows.iter().filter(|(_, row)| row.parent == parent).map(|(id, _)| *id));
        next += 1;
    }
    tree
}

#[cfg(test)]
mod tests {
    use super::*;

    fn this() -> i32 {
        i32::try_from(std::process::id()).expect("ids are small")
    }

    fn burn(us: u64) {
        let before = own_cpu();
        while own_cpu().since(before) < us {
            std::hint::black_box((0..1_000_000_u64).fold(0, |sum, n| std::hint::black_box(sum ^ n)));
        }
    }

    #[test]
    fn what_this_thread_burns_is_seen_everywhere() {
        let thread = this_thread();
        let before = (tree_cpu(this()), thread_cpu_us(&thread), machine_cpu_us());
        burn(200_000);
        assert!(tree_cpu(this()).since(before.0) >= 190_000);
        assert!(thread_cpu_us(&thread) >= before.1 + 150_000);
        assert!(machine_cpu_us() >= before.2 + 150_000);
    }

    #[test]
    fn ended_threads_and_children_are_counted() {
        let before = (own_cpu(), tree_cpu(this()));
        std::thread::spawn(|| burn(200_000)).join().expect("does not panic");
        assert!(own_cpu().since(before.0) >= 150_000);
        let script = "n=0; while [ $n -lt 300000 ]; do n=$((n+1)); done";
        let ended = std::process::Command::new("/bin/sh").args(["-c", script]).status().expect("a shell");
        assert!(ended.success());
        assert!(tree_cpu(this()).since(before.1) > own_cpu().since(before.0) + 20_000);
    }

    #[test]
    fn memory_is_read_of_one_and_of_a_tree() {
        let id = this();
        let held = std::hint::black_box(vec![1_u8; 32 << 20]);
        assert!(resident_kib(id) > 32 << 10);
        assert!(tree_resident_kib(id) > 32 << 10);
        reset_peak(id);
        assert!(peak_kib(id) >= 32 << 10);
        assert_eq!(held.len(), 32 << 20);
        assert_eq!((peak_kib(i32::MAX), tree_cpu(i32::MAX)), (0, Cpu::default()));
    }
}
