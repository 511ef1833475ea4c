"""The sentences: one text to learn word pairs from, and one fixed list to be examined on."""

from __future__ import annotations

TRAINING_TEXT = """
the tide was low and the boats lay on the mud
the old ferry leaves the harbour at seven every morning
a light wind from the west carried the smell of salt
the keeper climbed the stairs and lit the lamp
two boys were fishing from the end of the pier
the captain read the weather report before breakfast
fresh bread and warm coffee waited on the kitchen table
the baker sold the last loaf before noon
she wrote a long letter to her brother in the north
he put the letter in a blue box under the bed
the train was late because of snow on the line
we walked along the river until the lamps were lit
the teacher asked the class to read the next page
a small dog slept in the shade of the wall
the market opens early and closes when the fish is gone
her father repaired the clock with a thin brass spring
the clock in the hall was ten minutes slow
nobody knew why the bell rang in the middle of the night
the miller stopped the wheel and opened the gate
rain fell on the roof of the empty school
the garden was full of beans and yellow flowers
a narrow path led from the garden to the river
the children ran down the hill and across the field
the farmer counted his sheep at the gate
the doctor came by boat when the bridge was closed
they carried the heavy table down the narrow stairs
the painter mixed a dark green for the door
a green door and a red roof stood out against the snow
the cook salted the soup and tasted it again
we heard music from the hall behind the market
the old sailor told the same story every winter
every story he told had a storm in it
the storm broke two windows and the garden gate
a carpenter came to repair the windows before winter
the library closes at six except in summer
she found the missing page between two heavy books
the map showed a road that was never built
the road to the north was closed because of the storm
his brother drove the cart to the mill and back
the cart lost a wheel near the stone bridge
the stone bridge is older than the town
a letter from the town came with the morning train
the captain stood on the pier and watched the tide
the boats came back before the rain
the smell of fresh bread filled the hall
the lamp on the pier was lit every night
the teacher wrote the words on the wall
my sister keeps bees behind the school
the bees were quiet in the cold morning
honey from the hill is dark and tastes of thyme
he bought a jar of honey and a loaf of bread
the ferry was late because of the wind
we waited under the roof until the rain stopped
the river rose and the lower field was under water
the children built a small boat from paper
the paper boat went down the river and under the bridge
the miller and the baker never agreed about the weather
the night was clear and the snow was bright
in summer the boys slept in the boat house
the key to the boat house is under the blue jar
"""

SENTENCES = (
    "the old ferry was late because of the tide",
    "a light wind carried the boats down the river",
    "the keeper lit the lamp before the storm",
    "two boys slept on the pier in summer",
    "the captain watched the weather from the bridge",
    "fresh coffee waited on the heavy table",
    "the baker repaired the clock in the hall",
    "she found a letter under the stone wall",
    "he wrote the same letter every winter",
    "the train leaves the town at seven",
    "we heard the bell across the field",
    "the teacher read a story about bees",
    "a small dog ran along the narrow path",
    "the market was empty when the rain stopped",
    "her brother counted the boats at the gate",
    "nobody knew why the road was closed",
    "the miller opened the door of the mill",
    "snow fell on the green roof in the night",
    "yellow flowers stood against the dark wall",
    "the children climbed the hill behind the school",
    "the farmer sold honey and beans at the market",
    "the doctor tasted the soup and salted it again",
    "they carried the missing books to the library",
    "the painter found the key between two windows",
    "a red cart waited near the garden",
    "the cook put the bread in a blue box",
    "music came from the house on the river",
    "the old sailor built a small boat",
    "every page of the map was missing",
    "the library is older than the stone bridge",
    "his father drove the sheep to the lower field",
    "the wheel of the mill went slow in winter",
    "a carpenter came with the morning ferry",
    "my sister told the story of the storm",
    "the bees were quiet because of the rain",
    "he bought a thin brass lamp in the north",
    "the water rose until the pier was gone",
    "we walked to the harbour before breakfast",
    "the smell of thyme filled the kitchen",
    "the class wrote ten words on paper",
    "the night train stopped near the town",
    "a clear morning and a bright tide",
    "the windows of the school were dark",
    "the spring in the clock was cold",
    "the captain asked the boys about the boat",
    "they lost the key to the garden gate",
    "the last loaf was on the kitchen table",
    "the fish is gone and the market closes early",
    "her words were warm and the hall was quiet",
    "the boat house stood in the shade of the hill",
)
