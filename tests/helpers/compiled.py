"""Compiles the Triton programs for a GPU that is not here: run as a script, without Triton's interpreter.

What the interpreter runs the compiler may still refuse.
"""

from typing import Any

from triton.backends.compiler import GPUTarget
from triton.compiler import ASTSource, compile

from snnkit.kernels.cuda import programs

HOPPER = GPUTarget("cuda", 90, 32)
SIZES = dict.fromkeys(("pixels", "channels", "out_height", "out_width", "pitch", "in_step", "out_step"), "i32")
TYPES = SIZES | {"leak": "fp32", "threshold": "fp32", "slope": "fp32", "per_program": "i32"}
TYPES |= {"counts": "*i32", "current": "*bf16", "spikes": "*bf16", "grad_spikes": "*bf16", "grad": "*bf16"}
KINDS: dict[str, Any] = {
    "NORMED": True, "STILL": False, "T": 3, "POOL": 2, "NEURONS": 4, "RESET": "subtract delayed", "ROWS": 8,
    "COLUMNS": 32, "COUNTED": True, "LEARNS": True, "SURROGATE": "atan",
}  # fmt: skip
OTHERS: tuple[dict[str, Any], ...] = (
    {},
    {"NEURONS": 1, "STILL": True},  # on pooled currents
    {"POOL": 1, "NEURONS": 1, "RESET": "subtract", "SURROGATE": "sigmoid", "COUNTED": False, "LEARNS": False},
    {"POOL": 4, "NEURONS": 16, "ROWS": 2, "RESET": "zero", "SURROGATE": "triangular", "NORMED": False},
    {"T": 1, "RESET": "zero delayed", "SURROGATE": "fast_sigmoid"},
)


def compiled(program: Any, kinds: dict[str, Any], sums: str) -> None:
    names = program.arg_names
    constants = {name: kinds[name] for name in names if name in kinds}
    if not kinds["NORMED"]:
        constants |= dict.fromkeys({"mean", "invstd", "scale", "shift"} & set(names))
    types = {name: TYPES.get(name, "*fp32") for name in names} | ({"sums": sums} if "sums" in names else {})
    types |= dict.fromkeys(constants, "constexpr")
    source = ASTSource(program, types, {(names.index(name),): value for name, value in constants.items()})
    assert compile(source, target=HOPPER).asm["cubin"], (program.__name__, kinds)


if __name__ == "__main__":
    for other in OTHERS:
        compiled(programs.lif_forward, KINDS | other, "")
        compiled(programs.lif_backward, KINDS | other, "*fp32")
    compiled(programs.channel_sums, KINDS, "*fp64")
    compiled(programs.batchnorm_backward, KINDS, "")
    print("compiled")
