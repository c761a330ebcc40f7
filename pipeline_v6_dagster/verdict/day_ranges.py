"""Which UTC days saw a decision, as ranges: as short as the history is unbroken."""

from dataclasses import dataclass, field

from pipeline_v6_dagster.verdict.policy import DAY_S

# Times that make no sense make ranges of their own; the shortest give way.
MAX_RANGES = 100
# Epoch days that a year of four digits can have.
_MAX_DAY = 2_932_896


@dataclass(slots=True)
class DayRanges:
    """Days since 1970 as [first, last], in order, none adjacent."""

    ranges: list[list[int]] = field(default_factory=list)

    def add(self, ts: float) -> None:
        """Mark the day of a time (epoch s). A time outside the calendar marks none."""
        if not 0 <= ts < (_MAX_DAY + 1) * DAY_S:
            return
        day = int(ts // DAY_S)
        ranges = self.ranges
        if ranges and ranges[-1][0] <= day <= ranges[-1][1]:
            return
        if any(first <= day <= last for first, last in ranges):
            return
        merged = [[day, day]]
        for one in ranges:
            if one[0] == day + 1:
                merged[0][1] = one[1]
            elif one[1] == day - 1:
                merged[0][0] = one[0]
            else:
                merged.append(one)
        self.ranges = sorted(merged)
        if len(self.ranges) > MAX_RANGES:
            self.ranges.remove(min(self.ranges, key=lambda one: (one[1] - one[0], one[0])))

    def count(self, first_ts: float, last_ts: float) -> int:
        """How many days from the day of `first_ts` to that of `last_ts` are marked."""
        first_day, last_day = first_ts // DAY_S, last_ts // DAY_S
        return int(sum(max(0, min(last, last_day) - max(first, first_day) + 1) for first, last in self.ranges))
