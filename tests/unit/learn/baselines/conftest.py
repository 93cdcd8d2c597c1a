import pytest
import torch


@pytest.fixture(autouse=True, scope="session")
def _one_thread() -> None:
    """Toy products gain nothing from a second core and wait long for a busy one."""
    torch.set_num_threads(1)
