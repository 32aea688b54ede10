"""A folder of slabs, a model whose answers are known by construction, and a desk to review them at."""

from contextlib import ExitStack

import pytest

from ewval.core.ledger.reviews import ReviewStore
from ewval.core.review.desk import Desk
from ewval.core.review.listing import list_tasks
from ewval.core.review.queue import Queue
from ewval.core.review.volumes import ShownVolumes
from slabs import SlabAsker
from worlds import make_pair, write_world


@pytest.fixture
def folder(tmp_path):
    """Five tasks of two volumes: 5 has no volume, 6 no seed, 7 no players' answer."""
    pairs = [
        make_pair(1, volume=100, answer=(1, 2, 3), cell=11),
        make_pair(2, volume=100, answer=(1, 2), cell=11),
        make_pair(3, volume=101, seed=(2,), answer=(2, 3, 4), cell=12),
        make_pair(5, volume=999, cell=13),
        make_pair(6, volume=101, seed=(), cell=13),
        make_pair(7, volume=101, seed=(4,), answer=None, cell=14),
    ]
    return write_world(tmp_path / "data", pairs, volumes=[100, 101])


@pytest.fixture
def make_desk(folder):
    """Desks over the folder; all stores are closed at the end."""
    with ExitStack() as stores:

        def make(*, order="given", who="ann", asker=None):
            store = ReviewStore(folder.reviews)
            stores.callback(store.close)
            settled = [task for task, state in store.states(who).items() if state != "open"]
            asker = asker or SlabAsker()
            tasks = list_tasks(folder).tasks
            queue = Queue(tasks, order=order, settled=settled, ranks=store.ranks(asker.identity))
            return Desk(queue, ShownVolumes(folder), asker, store, who=who)

        yield make
