"""The recaptioner with a real LLaVA of tiny size and random weights, read from a folder."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from tokenizers import Tokenizer
from tokenizers.models import WordLevel
from tokenizers.pre_tokenizers import WhitespaceSplit
from transformers import (
    CLIPImageProcessor,
    CLIPVisionConfig,
    LlamaConfig,
    LlavaConfig,
    LlavaForConditionalGeneration,
    LlavaProcessor,
    PreTrainedTokenizerFast,
)

from motion_core.errors import MotionError
from motion_core.methods.recaption import INSTRUCTION, MAX_NEW_TOKENS, load_recaptioner

SPECIAL = ["<pad>", "<s>", "</s>", "<image>", "<unk>"]
WORDS = "a red cat jumps on grass under warm light in watercolour style".split()
TEMPLATE = (
    "{% for message in messages %}USER: {% for part in message['content'] %}"
    "{{ '<image> ' if part['type'] == 'image' else part['text'] + ' ' }}{% endfor %}{% endfor %}"
    "{% if add_generation_prompt %}ASSISTANT:{% endif %}"
)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A LLaVA that sees 8x8 pixels in four patches and knows seventeen words."""
    path = tmp_path_factory.mktemp("llava")
    words = {word: index for index, word in enumerate([*SPECIAL, *WORDS])}
    tokenizer = Tokenizer(WordLevel(words, unk_token="<unk>"))
    tokenizer.pre_tokenizer = WhitespaceSplit()
    fast = PreTrainedTokenizerFast(
        tokenizer_object=tokenizer,
        pad_token="<pad>",
        bos_token="<s>",
        eos_token="</s>",
        unk_token="<unk>",
        additional_special_tokens=["<image>"],
    )
    size = {"height": 8, "width": 8}
    LlavaProcessor(
        image_processor=CLIPImageProcessor(size={"shortest_edge": 8}, crop_size=size),
        tokenizer=fast,
        patch_size=4,
        vision_feature_select_strategy="default",
        num_additional_image_tokens=1,
        chat_template=TEMPLATE,
    ).save_pretrained(path)
    sizes = {"hidden_size": 16, "intermediate_size": 16, "num_attention_heads": 2}
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        config = LlavaConfig(
            vision_config=CLIPVisionConfig(
                **sizes, num_hidden_layers=2, image_size=8, patch_size=4, projection_dim=16
            ),
            text_config=LlamaConfig(
                **sizes,
                num_hidden_layers=1,
                vocab_size=len(words),
                max_position_embeddings=512,
                pad_token_id=0,
                bos_token_id=1,
                eos_token_id=2,
            ),
            image_token_index=words["<image>"],
            vision_feature_layer=-2,
        )
        LlavaForConditionalGeneration(config).save_pretrained(path)
    return path


def frame(value: float) -> torch.Tensor:
    return torch.full((3, 8, 8), value)


def test_a_frame_and_a_prompt_make_a_sentence(folder: Path) -> None:
    """Of the model's words, without its special tokens, the same each time."""
    model = load_recaptioner(folder)
    text = model.recaption(frame(0.5), "a cat jumps")
    assert 1 <= len(text.split()) <= MAX_NEW_TOKENS
    assert set(text.split()) <= set(WORDS)
    assert model.recaption(frame(0.5), "a cat jumps") == text


def test_the_model_is_asked_about_the_prompt_and_the_picture(folder: Path) -> None:
    """The conversation is the model's own template around the instruction, and one picture."""
    model = load_recaptioner(folder)
    asked = model._asked("a cat jumps")
    wanted = INSTRUCTION.format(prompt="a cat jumps")
    assert asked == f"USER: <image> {wanted} ASSISTANT:"
    assert '"a cat jumps"' in asked


def test_a_missing_folder_is_one_clear_error(tmp_path: Path) -> None:
    with pytest.raises(MotionError, match=r"There is no model in .*config\.json is missing"):
        load_recaptioner(tmp_path)


def test_another_kind_of_model_is_one_clear_error(tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text('{"model_type": "gpt2"}', encoding="utf-8")
    with pytest.raises(MotionError, match="is not an image-text-to-text model"):
        load_recaptioner(tmp_path)
