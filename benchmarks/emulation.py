"""Programs in C on other processors: compilers, emulators, sizes of code, counts of instructions.

Needs Debian's gcc-arm-none-eabi, gcc-riscv64-unknown-elf, gcc-aarch64-linux-gnu with
libc6-dev-arm64-cross, qemu-system-arm and qemu-user. Programs for small processors have no C
library: `START` begins them, and the emulator ends with what ``main`` returns.
"""

from __future__ import annotations

import dataclasses
import pathlib
import re
import shutil
import subprocess
from collections.abc import Sequence

START = """\
#include <stddef.h>
#include <stdint.h>

int main(void);
void *memcpy(void *to, const void *from, size_t n);
void *memmove(void *to, const void *from, size_t n);
void *memset(void *to, int value, size_t n);
void start(void);

__attribute__((section(".support"))) void *memcpy(void *to, const void *from, size_t n)
{
    char *a = to;
    const char *b = from;
    while (n--) {
        *a++ = *b++;
        __asm__ volatile("");
    }
    return to;
}

__attribute__((section(".support"))) void *memmove(void *to, const void *from, size_t n)
{
    char *a = to;
    const char *b = from;
    if (a <= b) {
        return memcpy(to, from, n);
    }
    while (n--) {
        a[n] = b[n];
        __asm__ volatile("");
    }
    return to;
}

__attribute__((section(".support"))) void *memset(void *to, int value, size_t n)
{
    char *a = to;
    while (n--) {
        *a++ = (char)value;
        __asm__ volatile("");
    }
    return to;
}

#if defined(__arm__)
extern uint32_t top_of_stack;
__attribute__((section(".vectors"), used)) static void *const vectors[] = {
    &top_of_stack, (void *)start
};

static void leave(const int result)
{
    /* semihosting: SYS_EXIT_EXTENDED with ADP_Stopped_ApplicationExit */
    uint32_t words[2] = { 0x20026, (uint32_t)result };
    register uint32_t r0 __asm__("r0") = 0x20;
    register uint32_t *r1 __asm__("r1") = words;
    __asm__ volatile("bkpt 0xab" : : "r"(r0), "r"(r1) : "memory");
    for (;;) {
    }
}

__attribute__((section(".support"))) void start(void)
{
#if defined(__ARM_FP)
    *(volatile uint32_t *)0xE000ED88 |= 0xF << 20; /* CPACR: lets the FPU work */
    __asm__ volatile("dsb\\n isb");
#endif
    leave(main());
}
#else
__attribute__((section(".support"))) void _start(void)
{
    register long a0 __asm__("a0") = main();
    register long a7 __asm__("a7") = 93; /* Linux' exit */
    __asm__ volatile("ecall" : : "r"(a0), "r"(a7));
    for (;;) {
    }
}
#endif
"""

LAYOUT = """\
MEMORY {{
    flash (rx) : ORIGIN = 0, LENGTH = {flash}K
    ram (rwx) : ORIGIN = 0x20000000, LENGTH = {ram}K
}}
ENTRY(start)
SECTIONS {{
    .text : {{ KEEP(*(.vectors)) *(.text*) *(.rodata*) *(.support*) }} > flash
    .ARM.exidx : {{ *(.ARM.exidx*) }} > flash
    .data : {{ *(.data*) }} > ram
    .bss : {{ *(.bss*) *(COMMON) }} > ram
    top_of_stack = ORIGIN(ram) + LENGTH(ram);
}}
"""


@dataclasses.dataclass(frozen=True)
class Board:
    """A processor, how programs are compiled for it, and what runs them.

    Attributes
    ----------
    name : str
    prefix : str
        Of the tools' names.
    flags : tuple of str
    run : tuple of str
        The emulator's command, without the program.
    flash, ram : int
        KiB; 0 if the emulator has an operating system's calls.
    """

    name: str
    prefix: str
    flags: tuple[str, ...]
    run: tuple[str, ...]
    flash: int = 0
    ram: int = 0

    @property
    def there(self) -> bool:
        """Whether its compiler and its emulator are installed."""
        return bool(shutil.which(f"{self.prefix}gcc") and shutil.which(self.run[0]))

    def build(
        self,
        folder: pathlib.Path,
        sources: Sequence[pathlib.Path],
        flags: Sequence[str] = (),
        libraries: Sequence[str] = (),
    ) -> pathlib.Path:
        """The program of some files, one of which has ``main``. RuntimeError if it has errors."""
        to = folder / "program.elf"
        more: list[str] = []
        if self.prefix != "aarch64-linux-gnu-":
            (folder / "start.c").write_text(START)
            sources = [*sources, folder / "start.c"]
            more = ["-ffreestanding", "-nostdlib", "-Wl,--gc-sections", "-ffunction-sections"]
            more += ["-Wl,--no-warn-rwx-segments", "-Wl,--no-relax"]
        if self.flash:
            (folder / "layout.ld").write_text(LAYOUT.format(flash=self.flash, ram=self.ram))
            more += ["-T", str(folder / "layout.ld")]
        command = [f"{self.prefix}gcc", *self.flags, *flags, *more, "-o", str(to)]
        command += [
            *map(str, sources),
            *libraries,
            *["-lgcc"] * bool(more),
            *["-static"] * (not more),
        ]
        found = subprocess.run(command, capture_output=True, text=True)
        if found.returncode:
            raise RuntimeError(f"{' '.join(command)}:\n{found.stderr[:3000]}")
        return to

    def result(self, program: pathlib.Path, timeout: float = 600) -> int:
        """What ``main`` returns."""
        return subprocess.run([*self.run, str(program)], timeout=timeout).returncode

    def instructions(self, program: pathlib.Path, timeout: float = 600) -> int:
        """How many instructions the emulator runs."""
        log = ["-d", "exec,nochain", "-D", "/dev/stderr"]
        step = "-singlestep"
        command = [*self.run[:1], step, *log, *self.run[1:], str(program)]
        count = 0
        with subprocess.Popen(command, stderr=subprocess.PIPE) as run:
            assert run.stderr is not None
            while block := run.stderr.read(1 << 20):
                count += block.count(b"Trace ")
        return count

    def size(self, program: pathlib.Path) -> dict[str, int]:
        """Bytes of each section."""
        command = [f"{self.prefix}size", "-A", str(program)]
        text = subprocess.run(command, capture_output=True, text=True, check=True).stdout
        return {name: int(n) for name, n in re.findall(r"^(\.\S+)\s+(\d+)", text, re.M)}


ARM = ("qemu-system-arm", "-nographic", "-semihosting-config", "enable=on,target=native")

BOARDS = {
    board.name: board
    for board in (
        Board(
            "Cortex-M0",
            "arm-none-eabi-",
            ("-mcpu=cortex-m0", "-mthumb"),
            (*ARM, "-M", "microbit", "-kernel"),
            256,
            16,
        ),
        Board(
            "Cortex-M4F",
            "arm-none-eabi-",
            ("-mcpu=cortex-m4", "-mthumb", "-mfpu=fpv4-sp-d16", "-mfloat-abi=hard"),
            (*ARM, "-M", "mps2-an386", "-kernel"),
            4096,
            4096,
        ),
        Board(
            "RISC-V RV32IMAC",
            "riscv64-unknown-elf-",
            ("-march=rv32imac", "-mabi=ilp32", "-msmall-data-limit=0"),
            ("qemu-riscv32",),
        ),
        Board(
            "RISC-V RV32IMAFC",
            "riscv64-unknown-elf-",
            ("-march=rv32imafc", "-mabi=ilp32f", "-msmall-data-limit=0"),
            ("qemu-riscv32",),
        ),
        Board("AArch64", "aarch64-linux-gnu-", (), ("qemu-aarch64",)),
    )
}
