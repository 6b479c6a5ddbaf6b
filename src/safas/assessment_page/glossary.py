"""The words of the report, in our own words."""

GLOSSARY = (
    ("presentation", "One go at the camera: a video, or a single image. Counts are of presentations, not frames."),
    ("bona fide", "A presentation by a living person who is there, without an attempt to deceive; “live” elsewhere."),
    ("presentation attack", "A presentation of something else than one's own living face to the camera: an attack."),
    ("species", "A kind of attack instrument with the same way of making: printed photos, replayed videos, masks."),
    ("score", "The system's answer to a presentation; here, higher means more likely bona fide."),
    ("threshold", "A presentation is accepted when its score is at least so high."),
    ("APCER", "Attack presentation classification error rate: the share of a species' answered attacks that are "
     "accepted. The highest of all species is the result, for an attacker picks what works."),
    ("BPCER", "Bona fide presentation classification error rate: the share of answered bona fide that are rejected."),
    ("APNRR, BPNRR", "The shares of attacks and of bona fide that get no answer at all, as when no face is found."),
    ("BPCER10, 20, 100", "BPCER at the threshold where the worst APCER is at most 10 %, 5 % and 1 %, read off the test "
     "scores themselves."),
    ("IAPAR, FRR, RIAPAR", "With a face recogniser behind: the share of attacks that the whole system accepts as the "
     "attacked person, the share of genuine attempts it rejects, and the sum of both."),
    ("ACER, HTER", "Means of BPCER and of the worst, or the pooled, APCER; common in papers."),
    ("EER", "The rate at the threshold where the pooled APCER equals BPCER; chosen on the test scores, so an oracle."),
    ("AUC", "The chance that a bona fide scores above an attack: 50 % is guessing, 100 % is no overlap."),
    ("oracle", "A number for which the tested data themselves chose something, which nobody has in the field: better "
     "than real use."),
    ("dev", "Scores of other people than the tested ones, by which the threshold is chosen beforehand."),
    ("Clopper-Pearson interval", "The interval of a share of independent presentations. Two-sided, the truth is "
     "outside at most 5 times in 100; one-sided where no error was seen: below 3 / n, about."),
    ("bootstrap over people", "The test is drawn again and again from its own people, each with all their "
     "presentations, and a threshold that was not stated is derived anew; the middle 95 % of the outcomes are given."),
    ("expected calibration error", "How far, on average, scores read as probabilities are from the share of bona fide "
     "among the presentations that score so."),
)  # fmt: skip
