#!/usr/bin/perl

# Copyright (C) Delta contributors

# The page in two and three windows: what one person changes the others see.

use Delta;

use Delta::Browser qw(browse);

browse('page', 300);

done_testing;
