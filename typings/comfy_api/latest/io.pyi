from collections.abc import Sequence
from enum import Enum
from typing import Any, ClassVar

class FolderType(str, Enum):
    input = "input"
    output = "output"
    temp = "temp"

class Hidden(str, Enum):
    unique_id = "UNIQUE_ID"
    prompt = "PROMPT"
    extra_pnginfo = "EXTRA_PNGINFO"

class HiddenHolder:
    unique_id: str
    prompt: Any
    extra_pnginfo: Any

class Input:
    id: str
    def __init__(
        self,
        id: str,
        display_name: str | None = None,
        optional: bool = False,
        tooltip: str | None = None,
        lazy: bool | None = None,
        extra_dict: dict[str, Any] | None = None,
    ) -> None: ...

class Output:
    def __init__(
        self,
        id: str | None = None,
        display_name: str | None = None,
        tooltip: str | None = None,
        is_output_list: bool = False,
    ) -> None: ...

_Input = Input
_Output = Output

class _Type:
    class Input(_Input): ...
    class Output(_Output): ...

def Custom(io_type: str) -> type[_Type]: ...

class Clip(_Type): ...
class Image(_Type): ...
class Model(_Type): ...
class Noise(_Type): ...
class Vae(_Type): ...
class Video(_Type): ...

class Boolean(_Type):
    class Input(_Input):
        def __init__(
            self,
            id: str,
            display_name: str | None = None,
            optional: bool = False,
            tooltip: str | None = None,
            lazy: bool | None = None,
            extra_dict: dict[str, Any] | None = None,
            default: bool | None = None,
            socketless: bool | None = None,
        ) -> None: ...

class Int(_Type):
    class Input(_Input):
        def __init__(
            self,
            id: str,
            display_name: str | None = None,
            optional: bool = False,
            tooltip: str | None = None,
            lazy: bool | None = None,
            extra_dict: dict[str, Any] | None = None,
            default: int | None = None,
            min: int | None = None,
            max: int | None = None,
            step: int | None = None,
            control_after_generate: bool | None = None,
            display_mode: Any = None,
            socketless: bool | None = None,
        ) -> None: ...

class Float(_Type):
    class Input(_Input):
        def __init__(
            self,
            id: str,
            display_name: str | None = None,
            optional: bool = False,
            tooltip: str | None = None,
            lazy: bool | None = None,
            extra_dict: dict[str, Any] | None = None,
            default: float | None = None,
            min: float | None = None,
            max: float | None = None,
            step: float | None = None,
            round: float | None = None,
            display_mode: Any = None,
            socketless: bool | None = None,
        ) -> None: ...

class String(_Type):
    class Input(_Input):
        def __init__(
            self,
            id: str,
            display_name: str | None = None,
            optional: bool = False,
            tooltip: str | None = None,
            lazy: bool | None = None,
            extra_dict: dict[str, Any] | None = None,
            multiline: bool = False,
            placeholder: str | None = None,
            default: str | None = None,
            socketless: bool | None = None,
        ) -> None: ...

class Combo(_Type):
    class Input(_Input):
        def __init__(
            self,
            id: str,
            options: Sequence[str] | type[Enum] | None = None,
            display_name: str | None = None,
            optional: bool = False,
            tooltip: str | None = None,
            lazy: bool | None = None,
            extra_dict: dict[str, Any] | None = None,
            default: str | int | Enum | None = None,
            socketless: bool | None = None,
        ) -> None: ...

class MultiType:
    class Input(_Input):
        def __init__(
            self,
            id: str | _Input,
            types: Sequence[type[_Type] | _Type],
            display_name: str | None = None,
            optional: bool = False,
            tooltip: str | None = None,
            lazy: bool | None = None,
            extra_dict: dict[str, Any] | None = None,
        ) -> None: ...

class DynamicCombo:
    class Option:
        def __init__(self, key: str, inputs: Sequence[_Input]) -> None: ...

    class Input(_Input):
        def __init__(
            self,
            id: str,
            options: Sequence[DynamicCombo.Option],
            display_name: str | None = None,
            optional: bool = False,
            tooltip: str | None = None,
            lazy: bool | None = None,
            extra_dict: dict[str, Any] | None = None,
        ) -> None: ...

class Schema:
    node_id: str
    inputs: list[Input]
    outputs: list[Output]
    def __init__(
        self,
        node_id: str,
        display_name: str | None = None,
        category: str = "sd",
        inputs: Sequence[Input] = ...,
        outputs: Sequence[Output] = ...,
        hidden: Sequence[Hidden] = ...,
        description: str = "",
        is_input_list: bool = False,
        is_output_node: bool = False,
        is_experimental: bool = False,
        not_idempotent: bool = False,
        enable_expand: bool = False,
    ) -> None: ...

class ComfyNode:
    hidden: ClassVar[HiddenHolder]
    SCHEMA: ClassVar[Schema]
    @classmethod
    def define_schema(cls) -> Schema: ...
    @classmethod
    def GET_SCHEMA(cls) -> Schema: ...

class NodeOutput:
    args: tuple[Any, ...]
    ui: Any
    def __init__(
        self,
        *args: Any,
        ui: Any = None,
        expand: dict[str, Any] | None = None,
        block_execution: str | None = None,
    ) -> None: ...
