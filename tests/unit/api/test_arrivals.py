from api.arrivals import changes
from testing.service import a_model, a_worker


def test_who_comes_and_who_goes_is_named() -> None:
    first, second = a_worker(id="w1"), a_worker(id="w2", server="http://s:1", host="gpu box\n")
    before = {"tiny": a_model(first)}
    assert changes({}, before) == [
        "worker=w1 serves model=tiny server=http://server host=unknown slots=2"
    ]
    assert changes(before, {"tiny": a_model(first), "big": a_model(second)}) == [
        "worker=w2 serves model=big server=http://s:1 host=gpu_box_ slots=2"
    ]
    assert changes(before, {"tiny": a_model()}) == ["worker=w1 is gone"]
    assert changes(before, before) == []
    left = {"tiny": a_model(a_worker(id="w1", health="left", slots=0))}
    assert changes(before, left) == ["worker=w1 is gone"]
    assert changes({}, left) == changes(left, {}) == []
