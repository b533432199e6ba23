-- PostgreSQL runs this once, when its volume is new: Label Studio keeps its tables apart from ours.
CREATE DATABASE label_studio;
