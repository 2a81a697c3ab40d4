"""stackone-defender: patterns and a small learned classifier, for results of tools."""

from __future__ import annotations

from functools import partial

from ..peer import Find, Peer


def injection() -> Find:
    import onnxruntime

    # One thread, as every other peer has.
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    onnxruntime.InferenceSession = partial(
        onnxruntime.InferenceSession, sess_options=options
    )
    from stackone_defender import create_prompt_defense

    defense = create_prompt_defense(block_high_risk=True, require_tier2=True)
    defense.warmup_tier2()

    def find(text: str) -> list[tuple[int, int, str]]:
        result = defense.defend_tool_result(text, "read_page")
        return [] if result.allowed else [(0, len(text), "injection")]

    return find


PEER = Peer(
    requirements=("stackone-defender[onnx]==0.9.4",),
    imports="stackone_defender",
    tasks={
        "injection": injection,
        "tokens": injection,
        "injection_user": injection,
        "injection_tool": injection,
    },
    note="defend_tool_result with tiers 1 and 2, thresholds as shipped: yes or no",
)
