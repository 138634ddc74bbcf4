"""Pages that are made of something else, and whether they still are what that makes."""
import os
import subprocess
import sys

from harness.base import TOP


def test_the_page_of_features_is_up_to_date_and_each_has_a_test():
    done = subprocess.run([sys.executable, os.path.join(TOP, "tests", "features", "features"),
                           "--check"], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
                          check=False)
    # If it is only the page: tests/features/features --write
    assert done.returncode == 0, done.stdout
