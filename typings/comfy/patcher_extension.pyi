from collections.abc import Callable, Sequence
from typing import Any

class WrappersMP:
    OUTER_SAMPLE: str
    PREDICT_NOISE: str
    CALC_COND_BATCH: str
    DIFFUSION_MODEL: str

class WrapperExecutor:
    original: Callable[..., Any]
    class_obj: Any
    def __call__(self, *args: Any, **kwargs: Any) -> Any: ...
    def execute(self, *args: Any, **kwargs: Any) -> Any: ...
    @classmethod
    def new_class_executor(
        cls, original: Callable[..., Any], class_obj: object, wrappers: Sequence[Any]
    ) -> WrapperExecutor: ...

def get_all_wrappers(
    wrapper_type: str, transformer_options: dict[str, Any], is_model_options: bool = False
) -> list[Callable[..., Any]]: ...
