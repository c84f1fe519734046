"""What a test finds wrong, and how often."""
failed = 0


def check(condition, what):
    global failed
    if not condition:
        failed += 1
        print(f"FAIL {what}")
