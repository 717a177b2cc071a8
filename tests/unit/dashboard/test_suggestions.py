from stxm_live.core.region import Region
from stxm_live.dashboard.suggestions_panel import suggestion


def test_a_suggestion_says_time_and_dose_once_and_a_short_time_in_seconds():
    reason = "boundary a/b, 2.1 µm², 1.3 MGy, 24 s"
    region = Region((0, 1), (0, 1), nx=5, ny=5, reason=reason, dose_mgy=1.3, minutes=0.4)
    text = suggestion(region)
    assert (text.count("1.3 MGy"), text.count("24 s"), text.count("min")) == (1, 1, 0)
    assert "1.3 MGy, 24 s" in suggestion(Region((0, 1), (0, 1), 5, 5, dose_mgy=1.3, minutes=0.4))
