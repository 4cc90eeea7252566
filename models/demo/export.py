"""The published files: 16-bit safetensors with Hugging Face's configuration, and GGUF from the same rounded weights.

The 16-bit type is float16. Turing cards (T4) have no bfloat16, so vLLM refuses it there; L4 and both engines' CPU
code have float16; llama.cpp's CPU code converts float16 with one instruction where few processors multiply bfloat16;
and float16 keeps 10 bits of a weight where bfloat16 keeps 7, so rounding costs less of the margin (training.json has
the exact answers after rounding to either type). Its smaller range does no harm to weights and states of this size.
"""

import json
import pathlib

import gguf
import numpy as np
import safetensors.torch
import tokenizers
import torch
from model import Llama, Shape
from tokenizer import CHAT_TEMPLATE, END, END_ID, END_OF_TEXT_ID, SPECIAL

NAME = "glasshouse-demo"
KIND, KIND_NAME = torch.float16, "float16"
GGUF_FILE, SAFETENSORS_FILE = f"{NAME}.gguf", "model.safetensors"
GGUF_NAMES = {
    "input_layernorm": "attn_norm",
    "self_attn.q_proj": "attn_q",
    "self_attn.k_proj": "attn_k",
    "self_attn.v_proj": "attn_v",
    "self_attn.o_proj": "attn_output",
    "post_attention_layernorm": "ffn_norm",
    "mlp.gate_proj": "ffn_gate",
    "mlp.up_proj": "ffn_up",
    "mlp.down_proj": "ffn_down",
}


def write(model: Llama, tokenizer: tokenizers.Tokenizer, folder: pathlib.Path) -> None:
    """Write the weights twice and the configuration; the tokenizer's own files are written by `tokenizer.save`."""
    weights = {name: tensor.detach().to(KIND).contiguous() for name, tensor in model.state_dict().items()}
    safetensors.torch.save_file(weights, folder / SAFETENSORS_FILE, metadata={"format": "pt"})
    (folder / SAFETENSORS_FILE).chmod(0o644)  # safetensors makes it private; services run as other users
    _write_json(folder / "config.json", _config(model.shape))
    generation = {"bos_token_id": END_OF_TEXT_ID, "eos_token_id": END_ID, "pad_token_id": END_OF_TEXT_ID}
    _write_json(folder / "generation_config.json", {**generation, "do_sample": False})
    _write_gguf(folder / GGUF_FILE, weights, model.shape, tokenizer)


def _write_json(path: pathlib.Path, content: dict[str, object]) -> None:
    """Write readable JSON."""
    path.write_text(json.dumps(content, ensure_ascii=False, indent=2) + "\n", encoding="utf-8")


def _config(shape: Shape) -> dict[str, object]:
    """config.json as transformers and vLLM read it."""
    return {
        "architectures": ["LlamaForCausalLM"],
        "model_type": "llama",
        "torch_dtype": KIND_NAME,
        "vocab_size": shape.vocabulary,
        "hidden_size": shape.hidden,
        "intermediate_size": shape.inner,
        "num_hidden_layers": shape.layers,
        "num_attention_heads": shape.heads,
        "num_key_value_heads": shape.kv_heads,
        "head_dim": shape.head_size,
        "max_position_embeddings": shape.context,
        "rope_theta": shape.rope_base,
        "rms_norm_eps": shape.norm_epsilon,
        "hidden_act": "silu",
        "attention_bias": False,
        "mlp_bias": False,
        "tie_word_embeddings": True,
        "bos_token_id": END_OF_TEXT_ID,
        "eos_token_id": END_ID,
        "pad_token_id": END_OF_TEXT_ID,
    }


def _write_gguf(
    path: pathlib.Path,
    weights: dict[str, torch.Tensor],
    shape: Shape,
    tokenizer: tokenizers.Tokenizer,
) -> None:
    """Write the GGUF file: metadata, tokenizer, chat template, and matrices in 16 bits, norms in 32."""
    writer = gguf.GGUFWriter(str(path), "llama")
    writer.add_name(NAME)
    writer.add_license("apache-2.0")
    writer.add_file_type(gguf.LlamaFileType.MOSTLY_F16)
    writer.add_vocab_size(shape.vocabulary)
    writer.add_context_length(shape.context)
    writer.add_embedding_length(shape.hidden)
    writer.add_block_count(shape.layers)
    writer.add_feed_forward_length(shape.inner)
    writer.add_head_count(shape.heads)
    writer.add_head_count_kv(shape.kv_heads)
    writer.add_rope_dimension_count(shape.head_size)
    writer.add_rope_freq_base(shape.rope_base)
    writer.add_layer_norm_rms_eps(shape.norm_epsilon)
    _add_tokenizer(writer, tokenizer)
    writer.add_chat_template(CHAT_TEMPLATE.read_text(encoding="utf-8"))
    for name, tensor in weights.items():
        writer.add_tensor(_gguf_name(name), _gguf_tensor(name, tensor, shape))
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()


def _add_tokenizer(writer: gguf.GGUFWriter, tokenizer: tokenizers.Tokenizer) -> None:
    """The vocabulary in the order of its ids, and the merges in the order of their ranks."""
    model = json.loads(tokenizer.to_str())["model"]
    tokens = sorted(model["vocab"], key=model["vocab"].get)
    writer.add_tokenizer_model("gpt2")
    writer.add_tokenizer_pre("gpt-2")
    writer.add_token_list(tokens)
    writer.add_token_types(
        [gguf.TokenType.CONTROL if token in SPECIAL else gguf.TokenType.NORMAL for token in tokens],
    )
    writer.add_token_merges([" ".join(pair) for pair in model["merges"]])
    writer.add_bos_token_id(END_OF_TEXT_ID)
    writer.add_eos_token_id(tokens.index(END))
    writer.add_eot_token_id(tokens.index(END))
    writer.add_pad_token_id(END_OF_TEXT_ID)
    writer.add_add_bos_token(False)


def _gguf_name(name: str) -> str:
    """Hugging Face's name of a parameter → llama.cpp's."""
    outside = {"model.embed_tokens.weight": "token_embd.weight", "model.norm.weight": "output_norm.weight"}
    if name in outside:
        return outside[name]
    _, _, layer, part = name.removesuffix(".weight").split(".", 3)
    return f"blk.{layer}.{GGUF_NAMES[part]}.weight"


def _gguf_tensor(name: str, tensor: torch.Tensor, shape: Shape) -> np.ndarray:
    """The values as llama.cpp wants them: norms in 32 bits, and the rows of q and k in the order of its rotary code.

    Hugging Face rotates number i of a head with number i + half, llama.cpp number 2i with 2i + 1: so each head's rows
    [half one, half two] are interleaved.
    """
    if tensor.ndim == 1:
        return tensor.float().numpy()
    for part, heads in (("q_proj", shape.heads), ("k_proj", shape.kv_heads)):
        if part in name:
            rows, columns = tensor.shape
            tensor = tensor.view(heads, 2, rows // heads // 2, columns).transpose(1, 2).reshape(rows, columns)
    return tensor.numpy()
