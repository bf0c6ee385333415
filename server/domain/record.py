"""Records: frozen dataclasses, which are made many at a time.

That nobody changes one is what the type checker holds. The interpreter would hold it too, for a quarter of a
microsecond a field and record: a tenth of the unit that creates assignments.
"""

import dataclasses
from functools import partial
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from dataclasses import dataclass as record
else:

    def record(*, frozen: bool, **options: Any) -> Any:
        """As `dataclasses.dataclass`, whose hash of a frozen record it keeps."""
        return partial(dataclasses.dataclass, unsafe_hash=frozen, **options)


__all__ = ["record"]
