#!/usr/bin/perl

# Copyright (C) Delta contributors

# The page when the network, or nginx below it, is not as it should be.

use Delta;

use Delta::Browser qw(browse);

browse('network', 300);

done_testing;
