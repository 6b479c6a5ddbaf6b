"""What the processor can do at most: a compiled loop of multiply-adds that stays in its registers."""

import ctypes
import time
from concurrent.futures import ThreadPoolExecutor

import llvmlite.binding as llvm

CHAINS = 12  # independent ones, more than the latency of a multiply-add times how many begin at once
ROUNDS = 2_000_000  # some milliseconds


def peak(threads: int, rounds: int = 100) -> float:
    """GFLOP/s of so many threads together in 32 bits, the best of some rounds; a multiply-add is two."""
    work, wide, _engine = _compiled()
    times = []
    with ThreadPoolExecutor(threads) as pool:
        for _ in range(rounds):
            start = time.perf_counter()
            list(pool.map(lambda _: work(ROUNDS, 0.5), range(threads)))  # ctypes lets go of the interpreter
            times.append(time.perf_counter() - start)
    return 2 * CHAINS * wide * ROUNDS * threads / min(times) / 1e9


def _compiled() -> tuple[object, int, object]:
    """The loop, how many numbers a chain holds, and the engine that must outlive it."""
    llvm.initialize_native_target()
    llvm.initialize_native_asmprinter()
    features = llvm.get_host_cpu_features()
    wide = 16 if features.get("avx512f") else 8
    machine = llvm.Target.from_default_triple().create_target_machine(
        cpu=llvm.get_host_cpu_name(), features=features.flatten(), opt=3
    )
    engine = llvm.create_mcjit_compiler(llvm.parse_assembly(_code(wide)), machine)
    engine.finalize_object()
    kind = ctypes.CFUNCTYPE(ctypes.c_float, ctypes.c_int64, ctypes.c_float)
    return kind(engine.get_function_address("work")), wide, engine


def _code(wide: int) -> str:
    vector, chains = f"<{wide} x float>", range(CHAINS)
    fma = f"call {vector} @llvm.fma.v{wide}f32({vector}"
    sums = [f"%s{i + 1} = fadd {vector} %s{i}, %y{i + 1}" for i in chains[:-1]]
    body = [
        f"declare {vector} @llvm.fma.v{wide}f32({vector}, {vector}, {vector})",
        "define float @work(i64 %n, float %value) {",
        "entry:",
        f"%one = insertelement {vector} poison, float %value, i32 0",
        f"%all = shufflevector {vector} %one, {vector} poison, <{wide} x i32> zeroinitializer",
        *(f"%b{i} = fmul {vector} %all, splat (float {i + 1}.0)" for i in chains),
        "br label %loop",
        "loop:",
        "%i = phi i64 [0, %entry], [%next, %loop]",
        *(f"%x{i} = phi {vector} [%b{i}, %entry], [%y{i}, %loop]" for i in chains),
        *(f"%y{i} = {fma} %x{i}, {vector} %all, {vector} %b{i})" for i in chains),
        "%next = add i64 %i, 1",
        "%more = icmp ult i64 %next, %n",
        "br i1 %more, label %loop, label %done",
        "done:",
        f"%s0 = fadd {vector} %y0, %all",
        *sums,
        f"%r = extractelement {vector} %s{CHAINS - 1}, i32 0",
        "ret float %r",
        "}",
    ]
    return "\n".join(body)


if __name__ == "__main__":
    print(f"{peak(1):.0f} GFLOP/s in one thread")
